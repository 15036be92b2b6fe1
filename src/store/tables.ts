import type {Tables} from '../domain/ports.ts'
import {allocationTable} from './allocations.ts'
import {imageTable, specTable} from './catalogue.ts'
import {claimTable} from './claims.ts'
import {auditTable, eventTable} from './events.ts'
import {instanceTable} from './instances.ts'
import {nodeTable} from './nodes.ts'
import {idempotencyTable, settingTable} from './settings.ts'
import type {Sql} from './sql.ts'
import {joinTokenTable, tokenTable} from './tokens.ts'
import {userTable} from './users.ts'

/** All tables over one connection, or over one transaction. */
export function tablesOver(sql: Sql): Tables {
  return {
    users: userTable(sql),
    tokens: tokenTable(sql),
    joinTokens: joinTokenTable(sql),
    nodes: nodeTable(sql),
    claims: claimTable(sql),
    instances: instanceTable(sql),
    allocations: allocationTable(sql),
    images: imageTable(sql),
    specs: specTable(sql),
    events: eventTable(sql),
    audit: auditTable(sql),
    idempotency: idempotencyTable(sql),
    settings: settingTable(sql),
  }
}
