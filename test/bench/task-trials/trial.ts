export interface EndedTask {
  id: string
  type: string
  status: string
  steps: {name: string; state: string}[]
  error: {code: string; message: string} | null
}

/** What a trial works with: a server and one node, both of which are killed and come back. */
export interface TaskLab {
  /** Name of the node. */
  readonly node: string
  /** Folder of the agent's data. */
  readonly agentData: string
  /** Folder with what the programs of the lab keep; see workers/lab-agent.ts. Absent: the agent has the machine's own alone. */
  readonly folder: string | undefined
  /** A loop device over a new file, which goes with the lab. */
  device(): Promise<string>
  /** A name that nothing else has. */
  newName(): string
  /** Ends the agent in peace, and starts it again after that. */
  agentAgain(between: () => void): Promise<void>
  /** A call that is no task. */
  ok<T>(method: string, path: string, body?: object): Promise<T>
  /** A task that is disturbed once, to its end. */
  disturbed(method: string, path: string, body?: object): Promise<EndedTask>
  /** A task that nobody disturbs, to its end; it has to be a good one. */
  done(method: string, path: string, body?: object): Promise<EndedTask>
  /** Notes a broken promise unless it holds. */
  check(holds: boolean, what: string): void
}

/** A round of tasks, each disturbed once, and what must hold after each of them: whole or nothing. */
export interface TaskTrial {
  name: string
  /** A Docker Engine at docker.sock of the lab's folder, where the agent runs its containers. */
  needsEngine?: true
  /** A server of a later version than the agent, which is the program's own. */
  needsUpgrade?: true
  prepare?(lab: TaskLab): Promise<void>
  round(lab: TaskLab): Promise<void>
  /** Takes away what is left, also after a fault or an interruption. */
  tidy?(lab: TaskLab): void
}
