import {onTestFinished} from 'vitest'
import {Agent} from '../../../src/agent/agent.ts'
import type {AgentStateStore} from '../../../src/agent/instance-record.ts'
import {stateInMemory} from '../../../src/agent/state-file.ts'
import type {InstanceReport, Report} from '../../../src/contract/agent-protocol.ts'
import {FakeCollector} from '../../../src/metrics/fake.ts'
import {parseFakeGpus} from '../../../src/metrics/fake-gpus.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {createLogger} from '../../../src/platform/logger.ts'
import type {RuntimeDriver} from '../../../src/runtime/driver.ts'
import {FakeDriver} from '../../../src/runtime/fake.ts'
import {eventually} from '../../support/wait.ts'
import {type Doubts, doubt} from './doubtful-driver.ts'
import {nodeId} from './examples.ts'

export const hostSample = {
  cpuPercent: 1,
  cpus: 8,
  memoryTotalMiB: 1000,
  memoryUsedMiB: 10,
  memoryPercent: 1,
  diskPercent: null,
  load1: 0,
  uptimeSeconds: 1,
  networkRxBytes: null,
  networkTxBytes: null,
}

/** One life of an agent, and what it told. */
export interface Life {
  agent: Agent
  reports: Report[]
  /** The newest told of an allocation. */
  told(allocationId?: string): InstanceReport | undefined
}

/** A machine: an engine, a disk and a clock, which outlive the agents on it. */
export class TestNode {
  readonly clock = new ManualClock()
  readonly engine: RuntimeDriver = new FakeDriver({serverId: 'server-1', clock: this.clock})
  readonly disk = stateInMemory()

  /** Starts an agent as after a boot. */
  async boot({doubts = {}, disk = this.disk}: {doubts?: Doubts; disk?: AgentStateStore} = {}): Promise<Life> {
    const agent = new Agent({
      nodeId,
      driver: doubt(this.engine, doubts),
      gpus: new FakeCollector({gpus: parseFakeGpus('2'), nodeSeed: 'test', now: () => this.clock.now()}),
      host: {sample: async () => hostSample},
      stateStore: disk,
      clock: this.clock,
      logger: createLogger({level: 'silent'}),
      version: '0',
    })
    const stop = new AbortController()
    const reports: Report[] = []
    await agent.start()
    void (async () => {
      for await (const report of agent.reports(stop.signal)) reports.push(report)
    })()
    onTestFinished(() => stop.abort())
    const told = (allocationId = 'claim-1/1') =>
      reports
        .flatMap(report => (report.type === 'instances' ? report.instances : []))
        .findLast(one => one.allocationId === allocationId)
    return {agent, reports, told}
  }

  /** Until it is as the check wants it; time goes on meanwhile, a second a look. */
  async until<T>(check: () => T | Promise<T>) {
    return eventually(
      async () => {
        const seen = await check()
        if (!seen) this.clock.advance(1_000)
        return seen
      },
      {everyMs: 2},
    )
  }
}
