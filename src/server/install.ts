import type {FastifyInstance, FastifyRequest} from 'fastify'
import type {ProgramArchive} from './program-archive.ts'

/** `/install.sh` and the program that it fetches: this server's own, for machines of its kind. Made when somebody asks. */
export function addInstall(app: FastifyInstance, version: string): void {
  let archive: Promise<ProgramArchive> | undefined
  const getArchive = () => {
    archive ??= import('./program-archive.ts').then(({archiveProgram}) => archiveProgram())
    archive.catch(() => {
      archive = undefined
    })
    return archive
  }

  app.get('/install.sh', async (request, reply) => {
    const {installScript} = await import('./install-script.ts')
    const {platform, checksum} = await getArchive()
    const text = installScript({server: serverOf(request), version, platform, checksum})
    return reply.type('text/x-shellscript; charset=utf-8').send(text)
  })
  app.get('/install/gpuctl.tar.gz', async (_, reply) => {
    const {content} = await getArchive()
    return reply.type('application/gzip').send(content)
  })
}

/** As the caller reached it: the front has let nothing in but a name of this server. */
function serverOf({protocol, headers}: FastifyRequest): string {
  return `${protocol}://${(headers.host ?? '').toLowerCase()}`
}
