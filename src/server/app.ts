import {randomBytes} from 'node:crypto'
import {type FastifyInstance, type FastifyRequest, fastify, LogController} from 'fastify'
import type {Logger} from 'pino'
import type {Event} from '../contract/schemas/server.ts'
import {problem} from '../domain/errors.ts'
import type {Inference} from '../domain/inference.ts'
import type {OwnProgram} from '../domain/ports.ts'
import type {Services} from '../domain/services/services.ts'
import {pathOf} from './auth.ts'
import {mountDialect} from './dialect.ts'
import {dialects} from './dialects/registry.ts'
import {answerFailure, answerUnknownRoutes, type Family} from './failures.ts'
import {Front, requestIdOf} from './front.ts'
import {parseJson} from './json.ts'
import type {MetricsRegistry} from './metrics.ts'
import {type AcceptLink, mountNative, nativeFamily} from './native.ts'
import {NodeReadings} from './node-readings.ts'
import {OpenStreams} from './open-streams.ts'
import {addPages} from './pages.ts'
import {defaultSettings, type ServerSettings} from './settings.ts'
import {Terminals} from './terminal.ts'
import {Topic} from './topic.ts'
import {Upgrades} from './upgrade.ts'

export interface AppParts {
  services: Services
  logger: Logger
  /** Version of the program, for the OpenAPI document. */
  version: string
  /** The program itself, for machines that are to have it. */
  program: () => Promise<OwnProgram>
  acceptLink: AcceptLink
  inference: Inference
  settings?: Partial<ServerSettings>
  /** Figures of the rest of the program, shown at /metrics. */
  metricsRegistry?: MetricsRegistry
}

/** The control server's HTTP side, ready to be given to `listen`. */
export async function createApp(parts: AppParts): Promise<FastifyInstance> {
  const {services, logger, version, acceptLink, inference, metricsRegistry} = parts
  const settings = {...defaultSettings, ...parts.settings}
  const boot = randomBytes(4).toString('hex')
  const open = new OpenStreams({services, settings})
  const upgrades = new Upgrades()
  const events = new Topic<Event>(settings.ringEvents)
  const unsubscribe = services.events.subscribe(event => events.publish(`${boot}-${event.number}`, event))
  const readings = new NodeReadings({nodes: services.nodes, boot, tickMs: settings.statsTickMs})

  const front = new Front({settings, upgrades, streams: open, logger})
  const app = fastify({
    loggerInstance: logger as never,
    childLoggerFactory: () => logger as never,
    logController: new LogController({disableRequestLogging: true}),
    bodyLimit: settings.maxBodyBytes,
    genReqId: requestIdOf,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // Requests are read by rules of our own (input.ts): Ajv would be loaded for nothing.
    schemaController: {compilersFactory: {buildValidator: noValidator}},
    routerOptions: {ignoreTrailingSlash: true, maxParamLength: 256},
    rewriteUrl: ({url = '/'}) => routedUrl(url),
    frameworkErrors: (error, request, reply) => {
      const {failure} = familyOf(pathOf(request))
      try {
        front.greet(request, reply)
        answerFailure(error, request, reply, failure)
      } catch (refused) {
        answerFailure(refused, request, reply, failure)
      }
    },
  }) as unknown as FastifyInstance

  app.decorate('front', front)
  app.decorateRequest('asker')
  app.decorateRequest('credential')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', {parseAs: 'buffer'}, async ({headers}: FastifyRequest, body: Buffer) => {
    const {'content-encoding': coding = 'identity'} = headers
    if (coding !== 'identity') throw problem('media_type_unknown', {type: coding.slice(0, 64)})
    return body.length === 0 ? undefined : parseJson(body)
  })
  app.addHook('onRequest', async (request, reply) => front.greet(request, reply))
  app.addHook('onSend', async (_, reply) => {
    if (front.stopping) reply.header('connection', 'close')
  })
  app.setErrorHandler((error, request, reply) =>
    answerFailure(error, request, reply, familyOf(pathOf(request)).failure),
  )
  answerUnknownRoutes(app, familyOf)
  addPages(app, {services, version, program: parts.program, metricsRegistry})

  const sources = {services, settings, readings, events, open, boot}
  const terminals = new Terminals({settings, open, upgrades})
  await mountNative(app, {sources, terminals, upgrades, acceptLink, version})
  for (const dialect of dialects) await mountDialect(app, {...sources, terminals, upgrades, inference}, dialect)
  app.addHook('onClose', async () => {
    unsubscribe()
    open.stop()
  })
  await app.ready()
  return app
}

/** Whose words an answer about this path is said in. */
function familyOf(path: string): Family {
  const plain = path.toLowerCase().replace(/\/+$/, '')
  return dialects.find(dialect => dialect.owns(plain)) ?? nativeFamily
}

/** The target as it is routed: in lower case where the family does not tell cases apart. */
function routedUrl(url: string): string {
  const end = url.search(/[?#]|$/)
  const lower = url.slice(0, end).toLowerCase()
  return dialects.some(({caseless, owns}) => caseless && owns(lower)) ? lower + url.slice(end) : url
}

function noValidator(): never {
  throw new Error('Fastify validates no requests here.')
}
