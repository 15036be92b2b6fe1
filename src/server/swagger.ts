import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import {type FastifyInstance, fastify} from 'fastify'

const contentSecurityPolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'"

/** The page that shows an OpenAPI document. An app of its own, made when somebody looks, for its parts are slow to load. */
export async function swaggerPages(document: Record<string, unknown>): Promise<FastifyInstance> {
  const app = fastify({exposeHeadRoutes: false})
  await app.register(swagger, {mode: 'static', specification: {document: document as never}})
  await app.register(swaggerUi, {
    routePrefix: '/swagger',
    staticCSP: contentSecurityPolicy,
    uiConfig: {docExpansion: 'none', validatorUrl: null},
  })
  await app.ready()
  return app
}
