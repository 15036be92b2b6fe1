import {existsSync} from 'node:fs'
import {readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {exec, execOk} from '../../../src/platform/exec.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {eventually} from '../../support/wait.ts'

test('returns output, code and what a signal did; arguments reach the program as they are', async () => {
  expect(await exec('printf', ['%s', '$(id); "x" *'])).toEqual({stdout: '$(id); "x" *', stderr: '', code: 0})
  expect(await exec('sh', ['-c', 'echo no >&2; exit 3'])).toEqual({stdout: '', stderr: 'no\n', code: 3})
  expect(await exec('sh', ['-c', 'kill -9 $$'])).toMatchObject({code: 137})
  expect(await exec('cat', [], {input: 'žluť'})).toMatchObject({stdout: 'žluť'})
  expect(await exec('sh', ['-c', 'echo $WORD'], {env: {WORD: 'set'}})).toMatchObject({stdout: 'set\n'})
  const env = {PATH: '/usr/bin:/bin', WORD: 'set'}
  expect(await exec('env', [], {env, onlyEnv: true})).toMatchObject({stdout: 'PATH=/usr/bin:/bin\nWORD=set\n'})
})

test('input that the program does not want is no failure', async () => {
  expect(await exec('true', [], {input: Buffer.alloc(1024 * 1024)})).toMatchObject({code: 0})
})

test('says why there is no answer', async () => {
  const text = join(await temporaryDirectory(), 'text')
  await writeFile(text, 'not a program', {mode: 0o644})

  await expect(exec('no-such-program', [])).rejects.toMatchObject({name: 'ExecError', code: 'not_found'})
  await expect(exec(text, [])).rejects.toMatchObject({code: 'not_allowed'})
  await expect(exec('yes', [], {maxOutputBytes: 10_000})).rejects.toMatchObject({code: 'too_much_output'})
  await expect(exec('true', [], {signal: AbortSignal.abort()})).rejects.toMatchObject({code: 'aborted'})
  await expect(exec('sleep', ['60'], {signal: AbortSignal.timeout(50)})).rejects.toMatchObject({code: 'aborted'})
  await expect(execOk('sh', ['-c', 'echo no disk >&2; exit 4'])).rejects.toMatchObject({
    code: 'failed',
    exitCode: 4,
    message: 'sh ended with code 4: no disk',
  })
})

test('an abort is over when all that the program started is over', async () => {
  const directory = await temporaryDirectory()
  const tidying = `trap 'sleep 0.4; echo tidy >${directory}/end; exit' TERM; echo >${directory}/begin; while :; do sleep 0.02; done`
  const stop = new AbortController()
  const cut = exec('sh', ['-c', `(${tidying}) & wait`], {signal: stop.signal})
  cut.catch(() => {})
  await eventually(() => existsSync(join(directory, 'begin')))

  stop.abort()

  await expect(cut).rejects.toMatchObject({code: 'aborted'})
  expect(existsSync(join(directory, 'end'))).toBe(true)
})

test('a timeout ends the program and what it started', async () => {
  const pidFile = join(await temporaryDirectory(), 'pid')

  const slow = exec('sh', ['-c', `sleep 60 & echo $! > ${pidFile}; wait`], {timeoutMs: 300})

  await expect(slow).rejects.toMatchObject({code: 'timeout'})
  const pid = (await readFile(pidFile, 'utf8')).trim()
  // gone, or dead and not yet collected by its new parent
  await eventually(async () => / Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ' Z ')))
})

test('a daemon that keeps the pipes open does not keep the caller', async () => {
  const {stdout} = await exec('sh', ['-c', 'sleep 4 & echo started'])

  expect(stdout).toBe('started\n')
}, 3_500)
