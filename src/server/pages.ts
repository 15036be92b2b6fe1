import type {FastifyInstance, FastifyReply, FastifyRequest} from 'fastify'
import {problem} from '../domain/errors.ts'
import type {OwnProgram} from '../domain/ports.ts'
import type {Services} from '../domain/services/services.ts'
import {accessCheck, addressOf, bearer} from './auth.ts'
import {addDashboard} from './dashboard.ts'
import {dialects} from './dialects/registry.ts'
import {addInstall} from './install.ts'
import type {MetricsRegistry} from './metrics.ts'

interface PageParts {
  services: Services
  version: string
  program: () => Promise<OwnProgram>
  /** Figures of the rest of the program. */
  metricsRegistry?: MetricsRegistry
}

/** The pages beside the APIs. All that they need is loaded and made when the first caller asks. */
export function addPages(app: FastifyInstance, {services, version, program, metricsRegistry}: PageParts): void {
  let document: Promise<Record<string, unknown>> | undefined
  let pages: Promise<FastifyInstance> | undefined
  let ownFigures: Promise<MetricsRegistry> | undefined

  const getDocument = () => {
    document ??= import('./openapi.ts').then(({openApi}) => openApi(version, dialects))
    return document
  }

  app.get('/healthz', async () => {
    if (app.front.stopping) throw problem('server_stopping', {})
    return {status: 'ok'}
  })

  app.get('/openapi.json', async (_, reply) => reply.type('application/json').send(JSON.stringify(await getDocument())))

  const showPages = async (request: FastifyRequest, reply: FastifyReply) => {
    pages ??= Promise.all([import('./swagger.ts'), getDocument()]).then(([{swaggerPages}, made]) => swaggerPages(made))
    forward(await pages, request, reply)
  }
  // The page looks for its document beside itself, so it has one address only: `/swagger/`, with the slash.
  const toPage = (_: FastifyRequest, reply: FastifyReply) => reply.redirect('/swagger/')
  app.get('/swagger/index.html', toPage)
  app.get('/swagger', (request, reply) =>
    request.raw.url?.startsWith('/swagger/') ? showPages(request, reply) : toPage(request, reply),
  )
  app.get('/swagger/*', showPages)

  addDashboard(app)
  addInstall(app, program)

  const check = accessCheck(services, bearer)
  app.get(
    '/metrics',
    {
      config: {access: 'viewer'},
      onRequest: async (request, reply) => {
        if (!isLoopback(addressOf(request))) await check(request, reply)
      },
    },
    async (_, reply) => {
      ownFigures ??= import('./metrics.ts').then(({serverMetrics}) =>
        serverMetrics({requests: app.front.requests, openStreams: () => app.front.streams.size}),
      )
      const parts = [await (await ownFigures).metrics(), (await metricsRegistry?.metrics()) ?? '']
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(parts.join(''))
    },
  )
}

/** Lets another app answer; the headers that every answer carries are its too. */
function forward(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined && name !== 'cache-control') reply.raw.setHeader(name, value)
  }
  reply.hijack()
  app.routing(request.raw, reply.raw)
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}
