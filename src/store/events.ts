import type {Event} from '../contract/schemas/server.ts'
import type {EventTable} from '../domain/ports.ts'
import {Conditions} from './record-table.ts'
import type {Row, Sql} from './sql.ts'

const longestList = 1000

export function eventTable(sql: Sql): EventTable {
  return {
    async append(event) {
      const {at, kind, objectId, objectName, type, message, actor} = event
      const [row] = await sql.write(
        `INSERT INTO events (at, kind, object_id, object_name, type, message, actor)
         VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING number`,
        [at, kind, objectId, objectName, type, message, actor],
      )
      return {...event, number: row!.number as number}
    },
    async list({kind, object, after, limit = longestList}) {
      const conditions = new Conditions()
      if (kind !== undefined) conditions.add('kind = ?', kind)
      if (object !== undefined) conditions.add('(object_id = ? OR object_name = ?)', object, object)
      // Who reads on from a number must not meet a later one while an earlier one is still to be committed.
      if (after !== undefined) conditions.add(`number > ? AND ${sql.words.settled}`, after)
      const order = after === undefined ? 'DESC' : 'ASC'
      const rows = await sql.all(
        `SELECT number, at, kind, object_id, object_name, type, message, actor FROM events
         ${conditions}ORDER BY number ${order} LIMIT ?`,
        [...conditions.values, limit],
      )
      const events = rows.map(eventFromRow)
      return after === undefined ? events.reverse() : events
    },
    prune(keep) {
      return sql
        .givingBack()
        .run('DELETE FROM events WHERE number <= (SELECT number FROM events ORDER BY number DESC LIMIT 1 OFFSET ?)', [
          keep,
        ])
    },
  }
}

function eventFromRow(row: Row): Event {
  return {
    number: row.number as number,
    at: row.at as string,
    kind: row.kind as Event['kind'],
    objectId: row.object_id as string,
    objectName: row.object_name as string,
    type: row.type as string,
    message: row.message as string,
    actor: row.actor as string,
  }
}
