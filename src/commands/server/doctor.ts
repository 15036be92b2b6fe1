import {Flags} from '@oclif/core'
import {DoctorCommand, fixFlag} from '../../cli/doctor/doctor-command.ts'
import type {Finding} from '../../contract/finding.ts'
import {serverFlags} from './start.ts'

export default class ServerDoctor extends DoctorCommand {
  static override summary =
    'Look at what the control server needs on this machine: folder, database, ports, TLS, clock, SSH, Docker.'
  static override description =
    'Give the flags of `server start` that you use. Each finding is ok, warn or error, with what to do. Ends with 1 where there is an error. With --fix a folder that others can read is closed.'
  static override examples = [
    '<%= config.bin %> server doctor',
    '<%= config.bin %> server doctor --listen 0.0.0.0:8888 --tls-cert cert.pem --tls-key key.pem',
    '<%= config.bin %> server doctor --fix -o json',
  ]
  static override flags = {
    ...serverFlags,
    ...fixFlag,
    data: Flags.directory({description: 'where store, keys and logs are kept'}),
    db: Flags.string({description: 'postgres:// URL; a SQLite file unless given', env: 'GPUCTL_DATABASE_URL'}),
    'tls-cert': Flags.string({description: 'PEM file of the certificate'}),
    'tls-key': Flags.string({description: 'PEM file of its key'}),
  }

  async run(): Promise<Finding[]> {
    const {flags} = await this.parse(ServerDoctor)
    const {examineServer} = await import('../../main/server-doctor.ts')
    const diagnoses = await examineServer({
      listen: flags.listen,
      alsoListen: flags['also-listen'],
      data: flags.data,
      database: flags.db,
      tlsCert: flags['tls-cert'],
      tlsKey: flags['tls-key'],
      sshPort: flags['ssh-port'],
    })
    return this.report(diagnoses, flags)
  }
}
