import {readFile} from 'node:fs/promises'
import type {FastifyInstance, FastifyReply, FastifyRequest} from 'fastify'

const types = {html: 'text/html', css: 'text/css', js: 'text/javascript'}
/** Nothing but its own files, and calls of the server that it comes from; no page may frame it. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The page of src/dashboard at `/dashboard/`. Anybody may load it; what it shows it asks for with its reader's login. */
export function addDashboard(app: FastifyInstance): void {
  const toPage = (_: FastifyRequest, reply: FastifyReply) => reply.redirect('/dashboard/')
  app.get('/dashboard/index.html', toPage)
  // Its files lie beside it, so it has one address only, with the slash.
  app.get('/dashboard', (request, reply) =>
    request.raw.url?.startsWith('/dashboard/') ? sendFile('index.html', reply) : toPage(request, reply),
  )
  app.get('/dashboard/page.css', (_, reply) => sendFile('page.css', reply))
  app.get('/dashboard/page.js', (_, reply) => sendFile('page.js', reply))
}

async function sendFile(name: string, reply: FastifyReply): Promise<FastifyReply> {
  const content = await readFile(new URL(`../../dist/dashboard/${name}`, import.meta.url))
  const type = types[name.split('.').at(-1) as keyof typeof types]
  return reply.header('content-security-policy', contentSecurityPolicy).type(`${type}; charset=utf-8`).send(content)
}
