import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {type OperationName, routes} from '../../src/contract/routes.ts'
import {root, sourceFiles} from './imports.ts'

/** Operations that no command calls, each with the reason. */
const withoutCommand: Partial<Record<OperationName, string>> = {
  'auth.streamTicket': 'browsers cannot send a header with an event stream; the CLI can',
  'auth.redeemLink': 'the dashboard shows the link that `open` gave it',
  'nodes.join': 'the agent asks to join',
  'nodes.joinStatus': 'the agent polls for its key',
  'nodes.beat': 'agents that cannot open a link beat so',
  'sites.report': 'the agent reports',
  'backups.report': 'the agent reports',
  'instances.archive': '`instance cp` calls it by Client.archive',
  'tasks.follow': 'the dashboard follows one task; the CLI polls, because a task may outlive the server',
}

const names = Object.keys(routes) as OperationName[]

/** The operations that the text of a command, or of what commands share, names. */
const called = new Set(
  sourceFiles(root)
    .filter(path => /^src\/(commands|cli)\//.test(path))
    .flatMap(path => readFileSync(join(root, path), 'utf8').match(/'[A-Za-z]+\.[A-Za-z]+'/g) ?? [])
    .map(quoted => quoted.slice(1, -1)),
)

test('every operation has a command, or stands on the list with a reason', () => {
  expect(names.filter(name => !called.has(name)).sort()).toEqual(Object.keys(withoutCommand).sort())
})
