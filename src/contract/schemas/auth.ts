import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, Done, identity, Name, Nothing, Nullable, Reference, Time, Uuid} from './common.ts'

export const Role = Type.Enum(['super_admin', 'node_admin', 'user', 'viewer'])
export type Role = Static<typeof Role>

export const Username = Type.String({
  pattern: '^[A-Za-z0-9]([A-Za-z0-9._@-]{0,62})$',
  description: 'letters, digits, dot, dash, underscore, at sign; at most 63',
})
export const Password = Type.String({minLength: 8, maxLength: 256, description: '8 to 256 characters'})

export const User = Type.Object({
  ...identity,
  username: Username,
  role: Role,
  enabled: Type.Boolean(),
  /** GPUs that the user's live claims may ask for together; null = unlimited (super_admin). */
  gpuQuota: Nullable(Type.Integer({minimum: 0, maximum: 100_000})),
  /** Highest priority the user may give a claim. */
  maxPriority: Type.Integer({minimum: -100, maximum: 100}),
})
export type User = Static<typeof User>

/** What a token may do: `read` = GETs, `inference` = calls of models, `write` = everything that its owner's role may. */
export const Scope = Type.Enum(['read', 'write', 'inference'])
export type Scope = Static<typeof Scope>

/** Bounds of the calls of models with one token; null = the server's own. */
const inferenceLimits = {
  requestsPerMinute: Nullable(Type.Integer({minimum: 1, maximum: 1_000_000})),
  /** Requests at once, those that wait included. */
  concurrency: Nullable(Type.Integer({minimum: 1, maximum: 10_000})),
}

export const ApiToken = Type.Object({
  ...identity,
  name: Name,
  owner: Username,
  scopes: Type.Array(Scope, {minItems: 1, uniqueItems: true}),
  ...inferenceLimits,
  expiresAt: Nullable(Time),
  lastUsedAt: Nullable(Time),
  /** First characters, so that a person can tell tokens apart. */
  hint: Type.String(),
})
export type ApiToken = Static<typeof ApiToken>

export const JoinToken = Type.Object({
  ...identity,
  name: Name,
  /** What comes in with it: machines, or people who make an account (an invitation). */
  admits: Type.Enum(['nodes', 'users']),
  usesLeft: Type.Integer({minimum: 0}),
  expiresAt: Time,
  autoApprove: Type.Boolean(),
  labels: Type.Record(Type.String(), Type.String()),
})
export type JoinToken = Static<typeof JoinToken>

/** A node in the hands of a node_admin. */
export const AssignedNode = Type.Object({id: Uuid, number: Type.Integer(), name: Type.String()})
export type AssignedNode = Static<typeof AssignedNode>

const Session = Type.Object({token: Type.String(), expiresAt: Time, user: User})

export const auth = {
  'auth.login': operation({
    summary: 'Log in with user name and password.',
    access: 'public',
    input: Type.Object({username: Type.String({maxLength: 256}), password: Type.String({maxLength: 256})}),
    output: Session,
  }),
  'auth.logout': operation({
    summary: 'Revoke the token of this call; with all, every login of the user.',
    access: 'viewer',
    input: Type.Object({all: Type.Optional(Type.Boolean())}),
    output: Done,
  }),
  'auth.whoami': operation({
    summary: 'Who the token belongs to.',
    access: 'viewer',
    input: Nothing,
    output: Type.Object({
      id: Uuid,
      username: Username,
      role: Role,
      gpuQuota: Nullable(Type.Integer()),
      gpusHeld: Type.Integer(),
      credential: Type.Enum(['login', 'token']),
      scopes: Type.Array(Scope),
      expiresAt: Nullable(Time),
    }),
  }),
  'auth.streamTicket': operation({
    summary: 'A ticket for one event stream or WebSocket of a browser: 60 seconds, one use, one path.',
    access: 'viewer',
    input: Type.Object({path: Type.String({pattern: '^/', maxLength: 1024})}),
    output: Type.Object({ticket: Type.String(), expiresAt: Time}),
  }),
  'auth.browserLink': operation({
    summary: 'A secret that signs you in at the dashboard: behind `#link=` in its address, 60 seconds, one use.',
    access: 'viewer',
    input: Nothing,
    output: Type.Object({secret: Type.String(), expiresAt: Time}),
  }),
  'auth.redeemLink': operation({
    summary: 'Log in with such a secret. Shown a second time it ends the login that it opened.',
    access: 'public',
    input: Type.Object({secret: Type.String({maxLength: 256})}),
    output: Session,
  }),
  'auth.register': operation({
    summary: 'Make an own account, as the setting auth.registration allows. It begins without any GPU.',
    access: 'public',
    status: 201,
    input: Type.Object({
      username: Username,
      password: Password,
      invitation: Type.Optional(Type.String({maxLength: 256, description: 'what `user invite` printed'})),
    }),
    output: User,
  }),
  'auth.changePassword': operation({
    summary: 'Change your own password. Ends all your logins; the answer is a new one.',
    access: 'viewer',
    input: Type.Object({current: Type.String({maxLength: 256}), password: Password}),
    output: Session,
  }),
  'users.list': operation({summary: 'List users.', access: 'super_admin', input: Nothing, output: Type.Array(User)}),
  'users.create': operation({
    summary: 'Create a user.',
    access: 'super_admin',
    status: 201,
    input: Type.Object({
      username: Username,
      password: Password,
      role: Type.Optional(Role),
      gpuQuota: Type.Optional(Nullable(Type.Integer({minimum: 0, maximum: 100_000}))),
      maxPriority: Type.Optional(Type.Integer({minimum: -100, maximum: 100})),
      nodes: Type.Optional(
        Type.Array(Reference, {maxItems: 256, description: 'nodes that the user administers as node_admin'}),
      ),
    }),
    output: User,
  }),
  'users.update': operation({
    summary: "Change a user's role, quota, priority, password, or whether the account is enabled.",
    access: 'super_admin',
    input: Type.Object({
      id: Type.String(),
      password: Type.Optional(Password),
      role: Type.Optional(Role),
      enabled: Type.Optional(Type.Boolean()),
      gpuQuota: Type.Optional(Nullable(Type.Integer({minimum: 0, maximum: 100_000}))),
      maxPriority: Type.Optional(Type.Integer({minimum: -100, maximum: 100})),
    }),
    output: User,
  }),
  'users.delete': operation({
    summary: 'Delete a user who holds nothing.',
    access: 'super_admin',
    input: ById,
    output: Done,
  }),
  'users.nodes': operation({
    summary: 'Nodes that a user administers.',
    access: 'super_admin',
    input: ById,
    output: Type.Array(AssignedNode),
  }),
  'users.assign': operation({
    summary: 'Give a node to a user who administers it as node_admin.',
    access: 'super_admin',
    input: Type.Object({id: Reference, node: Reference}),
    output: AssignedNode,
  }),
  'users.unassign': operation({
    summary: 'Take a node away from a user.',
    access: 'super_admin',
    input: Type.Object({id: Reference, node: Reference}),
    output: AssignedNode,
  }),
  'users.invite': operation({
    summary: 'Make an invitation with which people register themselves. Its secret is shown this once.',
    access: 'super_admin',
    status: 201,
    input: Type.Object({
      uses: Type.Optional(Type.Integer({minimum: 1, maximum: 1000})),
      ttlSeconds: Type.Optional(Type.Integer({minimum: 60, maximum: 365 * 86_400})),
    }),
    output: Type.Object({...JoinToken.properties, secret: Type.String()}),
  }),
  'tokens.list': operation({
    summary: 'List your API tokens.',
    access: 'viewer',
    input: Nothing,
    output: Type.Array(ApiToken),
  }),
  'tokens.create': operation({
    summary: 'Create an API token for a script or CI. Its secret is shown this once.',
    access: 'viewer',
    status: 201,
    input: Type.Object({
      name: Name,
      scopes: Type.Optional(Type.Array(Scope, {minItems: 1, uniqueItems: true})),
      ttlSeconds: Type.Optional(Type.Integer({minimum: 60, maximum: 10 * 365 * 86_400})),
      requestsPerMinute: Type.Optional(inferenceLimits.requestsPerMinute),
      concurrency: Type.Optional(inferenceLimits.concurrency),
    }),
    output: Type.Object({...ApiToken.properties, secret: Type.String()}),
  }),
  'tokens.revoke': operation({summary: 'Revoke an API token.', access: 'viewer', input: ById, output: Done}),
  'joinTokens.list': operation({
    summary: 'List join tokens and invitations.',
    access: 'super_admin',
    input: Nothing,
    output: Type.Array(JoinToken),
  }),
  'joinTokens.create': operation({
    summary: 'Create a token with which machines join unattended. Its secret is shown this once.',
    access: 'super_admin',
    status: 201,
    input: Type.Object({
      name: Type.Optional(Name),
      uses: Type.Optional(Type.Integer({minimum: 1, maximum: 100_000})),
      ttlSeconds: Type.Optional(Type.Integer({minimum: 60, maximum: 365 * 86_400})),
      autoApprove: Type.Optional(Type.Boolean()),
      labels: Type.Optional(Type.Record(Type.String(), Type.String())),
    }),
    output: Type.Object({...JoinToken.properties, secret: Type.String()}),
  }),
  'joinTokens.revoke': operation({
    summary: 'Revoke a join token or an invitation.',
    access: 'super_admin',
    input: ById,
    output: Done,
  }),
}
