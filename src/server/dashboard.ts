import {readFile} from 'node:fs/promises'
import type {FastifyInstance, FastifyReply, FastifyRequest} from 'fastify'

const types = {html: 'text/html', css: 'text/css', js: 'text/javascript'}
/** Nothing but its own files, and calls of the server that it comes from; no page may frame it. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
const parts = ['page.css', 'page.js', 'login.js', 'playground.js']

/** The pages of src/dashboard. Anybody may load them; what they show they ask for with their reader's login. */
export function addDashboard(app: FastifyInstance): void {
  addPage(app, '/dashboard', 'index.html')
  addPage(app, '/playground', 'playground.html')
  for (const name of parts) app.get(`/dashboard/${name}`, (_, reply) => sendFile(name, reply))
}

/** Its files are found from its address, so it has one only, with the slash. */
function addPage(app: FastifyInstance, path: string, file: string): void {
  const toPage = (_: FastifyRequest, reply: FastifyReply) => reply.redirect(`${path}/`)
  app.get(`${path}/index.html`, toPage)
  app.get(path, (request, reply) =>
    request.raw.url?.startsWith(`${path}/`) ? sendFile(file, reply) : toPage(request, reply),
  )
}

async function sendFile(name: string, reply: FastifyReply): Promise<FastifyReply> {
  const content = await readFile(new URL(`../../dist/dashboard/${name}`, import.meta.url))
  const type = types[name.split('.').at(-1) as keyof typeof types]
  return reply.header('content-security-policy', contentSecurityPolicy).type(`${type}; charset=utf-8`).send(content)
}
