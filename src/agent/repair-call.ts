import type {Diagnosis} from '../contract/finding.ts'
import type {NodeFinding} from '../contract/schemas/nodes.ts'
import {type AgentCall, CallProblem} from '../link/routes.ts'
import type {Agent} from './agent.ts'

export function asFinding({repair, ...finding}: Diagnosis): NodeFinding {
  return {...finding, canMend: repair !== undefined && finding.level !== 'ok'}
}

/** Looks again and mends what is still amiss at that place: asked once more it finds nothing to do. */
export async function runRepair(call: AgentCall, agent: Agent): Promise<void> {
  const {check = ''} = call.params
  const repairs = (await agent.examine()).flatMap(one =>
    one.check === check && one.level !== 'ok' && one.repair ? [one.repair] : [],
  )
  for (const repair of repairs) {
    await repair().catch((error: Error) => {
      throw new CallProblem(500, 'repair_failed', error.message)
    })
  }
  call.respondJson(200, {mended: repairs.length})
}
