import {join} from 'node:path'
import {expect, test} from 'vitest'
import {controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {execute} from '../support/store-sql.ts'

test('T31: audit verify is content with a whole audit, and names the row that somebody touched', async () => {
  const plane = await controlPlane()
  const {run, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const touch = (...statements: string[]) => execute(join(plane.directory, 'server.db'), statements)
  await plane.user('ann')

  const whole = await json<{checked: number; head: {number: number; hash: string}; fault: null}>(['audit', 'verify'])
  const noted = `${whole.head.number}:${whole.head.hash}`
  expect(whole).toMatchObject({checked: whole.head.number, fault: null})
  await plane.user('bob')
  expect(await run(['audit', 'verify', '--from', noted])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^1 rows are as they were written\.\nHead: \d+:[0-9a-f]{64}\n$/),
  })

  await touch(`UPDATE audit SET actor = 'eve' WHERE number = 2`)
  const edited = await run(['audit', 'verify'])
  expect(edited).toMatchObject({code: 1, stderr: ''})
  expect(edited.stdout).toContain('Row 2 is not as it was written')
  await touch('DELETE FROM audit WHERE number = 1')
  expect((await run(['audit', 'verify'])).stdout).toContain('Row 1 is missing')
  expect(await run(['audit', 'verify', '--from', noted])).toMatchObject({code: 0})
  expect(await run(['audit', 'verify', '--from', 'abc'])).toMatchObject({code: 2})
})

test('the audit is verified by super administrators only', async () => {
  const plane = await controlPlane()
  const {password} = await plane.user('ada', {role: 'node_admin'})
  const {run} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: await plane.login('ada', password)})

  expect(await run(['audit', 'verify'])).toMatchObject({code: 8})
})
