import {type Static, Type} from 'typebox'
import {Name} from '../../../contract/schemas/common.ts'
import {Figure} from '../../../contract/schemas/machines.ts'
import {given, listing} from './wire.ts'

const pem = Type.Optional(Type.String({maxLength: 65_536}))
const address = Type.String({minLength: 1, maxLength: 253})

/** A machine as the document has it. `memoryCapacity` is GB of one card. */
export const NodeFields = {
  name: Name,
  region: Type.Optional(Type.String({maxLength: 253})),
  cpu: Type.Optional(Figure),
  memory: Type.Optional(Figure),
  systemDisk: Type.Optional(Figure),
  dataDisk: Type.Optional(Figure),
  publicIp: address,
  privateIp: address,
  sshPort: Type.Optional(Type.Integer({minimum: 1, maximum: 65_535})),
  username: Type.Optional(Type.String({maxLength: 64})),
  password: Type.Optional(Type.String({maxLength: 1024})),
  gpuName: Type.Optional(Type.String({maxLength: 128})),
  gpuCount: Type.Optional(Type.Integer({minimum: 0, maximum: 64})),
  memoryCapacity: Type.Optional(Type.Integer({minimum: 0, maximum: 100_000})),
  hamiCore: Type.Optional(Type.String({maxLength: 256})),
  dockerAddress: Type.Optional(Type.String({maxLength: 300})),
  useTls: Type.Optional(Type.Boolean()),
  caCert: pem,
  clientCert: pem,
  clientKey: pem,
  ...listing,
  remark: Type.Optional(Type.String({maxLength: 512})),
}

const Fields = Type.Partial(Type.Object(NodeFields))

/** In the words of the native operations; what is absent stays absent. */
export function nodeFromWire(fields: Static<typeof Fields>) {
  const {region, cpu, memory, systemDisk, dataDisk, publicIp, privateIp, sshPort, hamiCore, useTls, remark} = fields
  return given({
    ...{region, cpu, memory, systemDisk, dataDisk, publicIp, privateIp, sshPort, hamiCore, useTls, remark},
    sshUser: fields.username,
    sshPassword: fields.password,
    gpuModel: fields.gpuName,
    gpuCount: fields.gpuCount,
    gpuMemoryMiB: fields.memoryCapacity ? fields.memoryCapacity * 1024 : undefined,
    docker: fields.dockerAddress,
    ca: fields.caCert,
    cert: fields.clientCert,
    key: fields.clientKey,
    listed: fields.isListed ?? fields.isOnShelf,
  })
}
