import type {Instance} from '../../../contract/schemas/instances.ts'
import type {Caller} from '../../../domain/caller.ts'
import type {Services} from '../../../domain/services/services.ts'
import {numbered} from './call.ts'

/** The caller's instance of this number. Throws not_found. */
export async function instanceOf({instances}: Services, number: number, caller: Caller): Promise<Instance> {
  return numbered('instance', [await instances.get({id: String(number)}, caller)], number)
}
