import type {NodeListing} from '../contract/schemas/machines.ts'
import type {Node} from '../contract/schemas/nodes.ts'
import type {MachineFacts, NodeRecord} from './records.ts'

/** What an answer shows instead of a stored secret. In an update it means: unchanged (security T14). */
export const stars = '******'

const emptyListing: NodeListing = {
  region: '',
  publicIp: '',
  privateIp: '',
  cpu: '',
  memory: '',
  systemDisk: '',
  dataDisk: '',
  remark: '',
}

const noFacts: MachineFacts = {
  listed: true,
  listing: emptyListing,
  hamiCore: '',
  ssh: {port: 22, user: '', sealedPassword: ''},
}

/** What the operator said of the machine; a node that dialled in has nothing said of it, and is listed. */
export function factsOf({facts}: Pick<NodeRecord, 'facts'>): MachineFacts {
  return facts ?? noFacts
}

/** What is known of the Docker Engine of a node at this moment. */
export type EngineAnswer = Pick<Node, 'dockerStatus' | 'dockerCheckedAt'>

/** The part of a node that the operator wrote. Secrets are stars for whoever may see that there are some. */
export function describeMachine(
  node: NodeRecord,
  {mayChange, ...answer}: EngineAnswer & {mayChange: boolean},
): Pick<Node, 'listed' | 'listing' | 'declaredGpus' | 'hamiCore' | 'docker' | 'ssh' | keyof EngineAnswer> {
  const {listed, listing, hamiCore, ssh} = factsOf(node)
  const {docker} = node
  return {
    listed,
    listing,
    declaredGpus: node.declaredGpus,
    hamiCore,
    ...answer,
    docker: docker && mayChange ? {...withoutKey(docker), key: starred(docker.sealedKey)} : null,
    ssh: mayChange ? {port: ssh.port, user: ssh.user, password: starred(ssh.sealedPassword)} : null,
  }
}

function withoutKey({address, useTls = !address.startsWith('unix:'), ca, cert}: NonNullable<NodeRecord['docker']>) {
  return {address, useTls, ca, cert}
}

function starred(sealed: string): string {
  return sealed === '' ? '' : stars
}
