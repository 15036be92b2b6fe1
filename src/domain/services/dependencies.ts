import type {FleetMemory} from '../fleet-memory.ts'
import type {Journal} from '../journal.ts'
import type {
  ByteStream,
  Clock,
  Fleet,
  MachineReading,
  OwnProgram,
  QueueView,
  RuntimeProbe,
  Store,
  Wake,
} from '../ports.ts'
import type {CaptchaPainter, EngineProbe, Passwords, Secrets, SessionTokens, Vault} from '../security-ports.ts'
import type {SshDoor} from '../session.ts'
import type {TaskFeed} from '../task-feed.ts'

/** What the composition root gives. Journal and memory are the same objects that the controllers have. */
export interface ServiceDependencies {
  store: Store
  journal: Journal
  memory: FleetMemory
  fleet: Fleet
  queue: QueueView
  wake: Wake
  taskFeed: TaskFeed
  clock: Clock
  passwords: Passwords
  secrets: Secrets
  sessions: SessionTokens
  vault: Vault
  runtimeProbe: RuntimeProbe
  captchaPainter: CaptchaPainter
  /** The latest reading of the server's own machine. */
  machine?: () => MachineReading
  probeEngine: EngineProbe
  /** This server's own. */
  program: () => Promise<OwnProgram>
  /** Folders of HAMi-core that the server's owner allows; no other is ever bound into a container (security T17). */
  hamiCoreFolders: readonly string[]
  server: {
    /** Also the issuer of login tokens. */
    id: string
    version: string
    startedAt: string
    /** Somebody on another machine can reach it. */
    exposed: boolean
    /** The jump host, where there is one. */
    ssh?: () => SshDoor | undefined
    /** A connection to it. */
    dialSsh?: (door: SshDoor) => Promise<ByteStream>
  }
}
