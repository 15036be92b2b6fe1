import {DoctorCommand, fixFlag} from '../../cli/doctor/doctor-command.ts'
import type {Finding} from '../../contract/finding.ts'

export default class AgentDoctor extends DoctorCommand {
  static override summary =
    'Look at what the agent needs on this machine: Docker, GPUs, container toolkit, disk, clock, link.'
  static override description =
    'Needs no login. Each finding is ok, warn or error, with what to do. Ends with 1 where there is an error. With --fix what others can read is closed, and what an agent that was killed left behind goes.'
  static override examples = ['<%= config.bin %> agent doctor', '<%= config.bin %> agent doctor -o json']
  static override flags = fixFlag

  async run(): Promise<Finding[]> {
    const {flags} = await this.parse(AgentDoctor)
    const {examineAgent} = await import('../../main/agent-doctor.ts')
    return this.report(await examineAgent(process.env), flags)
  }
}
