import {problem} from '../errors.ts'
import type {Recipe, StepRun} from '../task.ts'

export interface MemberWork {
  /** Record of the machine that is added. */
  nodeId: string
  /** As `node-003`. */
  label: string
  name: string
  address: string
  /** Address of a machine that is a member already, and the node that has it; '' where none of ours does. */
  master: string
  masterId: string
}

const minuteMs = 60_000

/** The machine joins the cluster of a node that is in one (wire.md 2.1-3). */
export const addMember: Recipe<MemberWork> = {
  type: 'node.add',
  deadlineMs: 20 * minuteMs,
  object: ({name}) => name,
  locks: ({address, master}) => [`member:${address}`, `cluster:${master}`],
  steps: () => [
    {
      name: 'join',
      title: ({name, address, master}) => `Adding ${name} (${address}) to the cluster of ${master}`,
      isIrrevocable: true,
      async isDone(run) {
        const {manager, members} = await lookAtMaster(run)
        if (manager === null) return true
        const isMember = isAmong(members, run.input)
        if (isMember) run.notes.registered = true
        return isMember
      },
      async do({agent, input: {address, master, masterId}, signal, notes}) {
        notes.begun = true
        await agent(masterId).storage('cluster.join', {address, master}, signal)
      },
      /** No machine is put out of its cluster while it runs: a deadline that came too late leaves a member with its record. */
      async undo(run) {
        const isBegun = run.notes.begun || run.isAgain
        if (!isBegun || !isAmong((await lookAtMaster(run)).members, run.input)) return
        run.notes.stays = true
        throw problem('member_stays', {name: run.input.name})
      },
    },
  ],
  result: ({input, notes}) => ({nodeId: input.label, node: input.name, registered: notes.registered === true}),
  async ended({tx, record}, {status, input, notes}) {
    const {nodeId: id, name} = input as unknown as MemberWork
    if (status === 'completed')
      return void (await record.event('node', {id, name}, 'MemberAdded', `${name} was added.`))
    if (notes.stays) return
    // An agent that came for it meanwhile has made a record of its own.
    const node = await tx.nodes.find(id)
    if (node && node.keyHash === null) await tx.nodes.delete(id)
  },
}

function lookAtMaster({agent, input: {master, masterId}}: StepRun<MemberWork>) {
  if (masterId === '') throw problem('member_unknown', {address: master})
  return agent(masterId).storage('cluster.look', {})
}

function isAmong(members: readonly string[], {name, address}: MemberWork): boolean {
  return members.includes(address) || members.includes(name)
}
