import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {nativeServer} from './native-server.ts'

test('--paginate makes one array of all pages, picked by --jq; what does not page comes as it is', async () => {
  const plane = await controlPlane()
  const {run, ok} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    await plane.ok('claims.submit', {name, image: 'any', gpus: {count: 1}}, {token: plane.adminToken})
  }
  const all = JSON.parse((await ok(['api', 'GET', 'claims'])).stdout) as {name: string}[]
  const paged = async (...args: string[]) =>
    JSON.parse((await ok(['api', 'GET', 'claims', '--paginate', ...args])).stdout)

  expect(all).toHaveLength(5)
  expect(await paged()).toEqual(all)
  expect(await paged('-F', 'limit=2')).toEqual(all)
  expect(await paged('-F', 'limit=2', '-F', 'offset=3')).toEqual(all.slice(3))
  const {stdout, stderr} = await ok(['api', 'GET', 'claims?limit=2', '--paginate', '--jq', '.[].name', '--debug'])
  expect(stdout.split('\n').filter(Boolean).sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(stderr.match(/> GET \S+/g)).toEqual(
    [0, 2, 4].map(offset => `> GET /gpuctl/v1/claims?limit=2&offset=${offset},`),
  )
  expect(JSON.parse((await ok(['api', 'GET', 'users', '--paginate', '--json=username'])).stdout)).toEqual([
    {username: 'admin'},
  ])
  expect(await run(['api', 'POST', 'claims', '--paginate'])).toMatchObject({code: 2})
  expect(await run(['api', 'GET', '/nowhere', '--paginate'])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('Without the slash'),
  })
})

test('--include shows the head of each answer before it; --jq also picks from one answer', async () => {
  const rows = [{name: 'a'}, {name: 'b'}, {name: 'c'}]
  const {url, asked} = await nativeServer({
    'GET /claims': (request: {url?: string}, response: import('node:http').ServerResponse) => {
      const offset = Number(new URL(request.url ?? '', 'http://x').searchParams.get('offset') ?? 0)
      response.writeHead(200, {'content-type': 'application/json', 'x-request-id': `r-${offset}`})
      response.end(JSON.stringify(rows.slice(offset, offset + 2)))
    },
  })
  const {ok} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})

  const {stdout} = await ok(['api', 'GET', 'claims', '--paginate', '-i', '-F', 'limit=2'])
  const lines = stdout.split('\n')
  expect(lines.filter(line => /^(HTTP|x-request-id|\[)/.test(line))).toEqual([
    'HTTP 200',
    'x-request-id: r-0',
    '[{"name":"a"},{"name":"b"}]',
    'HTTP 200',
    'x-request-id: r-2',
    '[{"name":"c"}]',
  ])
  expect((await ok(['api', 'GET', 'claims', '--jq', '.[0].name'])).stdout).toBe('a\n')
  expect(asked).toHaveLength(3)
})

test('-F KEY=@FILE sends what the file holds, @- what comes on standard input', async () => {
  const {url, asked} = await nativeServer({'POST /users': {id: 'u'}})
  const {run, ok, home} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})
  await writeFile(join(home, 'password'), 'Long-enough-words')

  await ok(['api', 'POST', 'users', '-F', `password=@${join(home, 'password')}`, '-f', 'username=@ada', '-F', 'n=1'])
  await run(['api', 'POST', 'users', '-F', 'password=@-'], {input: 'typed'})
  expect(asked.map(({body}) => body)).toEqual([
    {password: 'Long-enough-words', username: '@ada', n: 1},
    {password: 'typed'},
  ])
  expect(await run(['api', 'POST', 'users', '-F', 'password=@/nowhere'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('/nowhere cannot be read'),
  })
})
