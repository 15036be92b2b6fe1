import type {InstanceReport, Report} from '../contract/agent-protocol.ts'

/** Instances that changed and are not told yet; a complete report follows within 30 s anyway. */
const mostInstances = 10_000

/**
 * What is still to be told over one link. Only the newest of everything is kept, so that a slow link costs nothing but
 * time.
 */
export class ReportQueue {
  #inventory: Report | undefined
  #beat: Report | undefined
  #instances: {complete: boolean; desiredRevision: number; byAllocation: Map<string, InstanceReport>} | undefined
  /** Volumes; bounded by what the server asked for. */
  readonly #gone = new Set<string>()
  #closed = false
  #wake = () => {}

  push(report: Report): void {
    if (report.type === 'beat') this.#beat = report
    else if (report.type === 'instances') this.#merge(report)
    else if (report.type === 'volumes') for (const name of report.gone) this.#gone.add(name)
    else this.#inventory = report
    this.#wake()
  }

  /** All that is to be told now. */
  take(): Report[] {
    const reports = [this.#inventory, this.#beat].filter(report => report !== undefined)
    const {complete = false, desiredRevision = 0, byAllocation} = this.#instances ?? {}
    if (byAllocation)
      reports.push({type: 'instances', complete, desiredRevision, instances: [...byAllocation.values()]})
    if (this.#gone.size > 0) reports.push({type: 'volumes', gone: [...this.#gone]})
    this.#gone.clear()
    this.#inventory = undefined
    this.#beat = undefined
    this.#instances = undefined
    return reports
  }

  /** Resolves when there is something to tell, or the queue is closed. For one reader. */
  async wait(): Promise<void> {
    if (this.#closed || this.#inventory || this.#beat || this.#instances || this.#gone.size > 0) return
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
  }

  close(): void {
    this.#closed = true
    this.#wake()
  }

  #merge({complete, desiredRevision, instances}: Extract<Report, {type: 'instances'}>): void {
    const former = complete ? undefined : this.#instances
    const byAllocation = former?.byAllocation ?? new Map<string, InstanceReport>()
    for (const one of instances) byAllocation.set(one.allocationId, one)
    if (!complete) {
      for (const id of byAllocation.keys()) {
        if (byAllocation.size <= mostInstances) break
        byAllocation.delete(id)
      }
    }
    // What was dropped from a complete list would be taken for gone.
    const isComplete = complete || (former?.complete === true && byAllocation.size < mostInstances)
    this.#instances = {complete: isComplete, desiredRevision, byAllocation}
  }
}
