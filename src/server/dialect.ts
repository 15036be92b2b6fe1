import type {FastifyInstance} from 'fastify'
import type {Services} from '../domain/services/services.ts'
import {accessCheck, type FindCredential} from './auth.ts'
import {answerFailures, answerUnknownRoutes, type Render} from './failures.ts'

/**
 * A family of routes that speaks in its own words: where it stands, where its callers carry their credential, and how
 * it says no. It maps shapes and decides nothing.
 */
export interface Dialect {
  prefix: string
  credential: FindCredential
  failure: Render
  /** Registers the routes; each one names its access in `config`. */
  routes: (scope: FastifyInstance) => void
}

/** Puts a dialect on the server: its access check before anything is read, its failures for all that goes wrong below its prefix. */
export async function mount(app: FastifyInstance, services: Services, dialect: Dialect): Promise<void> {
  await app.register(
    async scope => {
      scope.addHook('onRequest', accessCheck(services, dialect.credential))
      answerFailures(scope, dialect.failure)
      answerUnknownRoutes(scope, dialect.failure)
      dialect.routes(scope)
    },
    {prefix: dialect.prefix},
  )
}
