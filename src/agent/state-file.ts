import {readFile} from 'node:fs/promises'
import {writeFileAtomic} from '../platform/files.ts'
import {type AgentState, type AgentStateStore, emptyState} from './instance-record.ts'

/** The agent's state as one JSON file, replaced as a whole. A file that cannot be read is an error, not a fresh start. */
export function stateFile(path: string): AgentStateStore {
  return {
    async load() {
      try {
        return JSON.parse(await readFile(path, 'utf8')) as AgentState
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return emptyState()
        throw new Error(`The agent's state ${path} cannot be read. Mend it, or remove it to start afresh.`, {
          cause: error,
        })
      }
    },
    save: state => writeFileAtomic(path, JSON.stringify(state), {mode: 0o600}),
  }
}

/** For simulated agents and tests: kept in memory, lost with the process. */
export function stateInMemory(): AgentStateStore {
  let kept = emptyState()
  return {
    load: async () => structuredClone(kept),
    save: async state => {
      kept = structuredClone(state)
    },
  }
}
