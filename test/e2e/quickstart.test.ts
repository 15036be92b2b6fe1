import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {networkLab} from '../support/network-lab.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

test('W1.8-3 W1.8-4 T24 T12: the document’s quick start runs as printed, router and runtime on one host', {
  timeout: 60_000,
}, async context => {
  need(context, 'root', 'netns')
  const password = join(await temporaryDirectory(), 'password')
  await writeFile(password, 'test\n', {mode: 0o600})
  const lab = await networkLab({
    listen: ['127.0.0.1:8888', '127.0.0.1:32768'],
    canaryPort: 32_769,
    env: {GPUCTL_ADMIN_PASSWORD_FILE: password},
  })

  const {code, stdout, stderr} = await lab.script(join(import.meta.dirname, 'quickstart.sh'))

  expect([code, stderr]).toEqual([0, ''])
  const [registered, login, approved, list, beat] = documents(stdout)
  expect(registered).toMatchObject({runtime_id: expect.any(String), runtime_token: expect.stringMatching(/^nt_/)})
  expect(login).toMatchObject({token: expect.any(String), expires_in: 86_400, user: {username: 'admin', role: 'admin'}})
  expect(approved).toMatchObject({id: registered.runtime_id, machine_name: 'server-01', status: 'online'})
  expect(list).toEqual([approved])
  expect(beat).toBeNull()
  expect(await lab.connections()).toEqual(['::ffff:127.0.0.1'])
})

/** What `jq .` printed, one value after the other: each begins at the start of a line, and ends there. */
// biome-ignore lint/suspicious/noExplicitAny: what a server answers is for the test to judge.
function documents(text: string): any[] {
  return text
    .trim()
    .split(/\n(?=[{[n])/)
    .map(part => JSON.parse(part))
}
