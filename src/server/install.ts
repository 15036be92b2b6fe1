import type {FastifyInstance, FastifyRequest} from 'fastify'
import type {OwnProgram} from '../domain/ports.ts'

/** `/install.sh` and the program that it fetches: this server's own, for machines of its kind. */
export function addInstall(app: FastifyInstance, program: () => Promise<OwnProgram>): void {
  app.get('/install.sh', async (request, reply) => {
    const {installScript} = await import('./install-script.ts')
    const {version, platform, checksum} = await program()
    const text = installScript({server: serverOf(request), version, platform, checksum})
    return reply.type('text/x-shellscript; charset=utf-8').send(text)
  })
  app.get('/install/gpuctl.tar.gz', async (_, reply) => {
    const {content} = await program()
    return reply.type('application/gzip').send(content)
  })
}

/** As the caller reached it: the front has let nothing in but a name of this server. */
function serverOf({protocol, headers}: FastifyRequest): string {
  return `${protocol}://${(headers.host ?? '').toLowerCase()}`
}
