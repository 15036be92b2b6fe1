import {execFile} from 'node:child_process'
import {expect, test} from 'vitest'
import {type ShellWish, shellCommand} from '../../../src/domain/shell.ts'

/** Runs it here as it would run in a container, with a search path that has only these programs. */
function run(wish: ShellWish, {path = process.env.PATH, input = ''} = {}) {
  const [file = '', ...args] = shellCommand(wish)
  return new Promise<{code: number; stdout: string; stderr: string}>(resolve => {
    const child = execFile(file, args, {env: {PATH: path, HOME: '/'}}, (error, stdout, stderr) =>
      resolve({code: error ? Number(error.code) : 0, stdout, stderr}),
    )
    child.stdin?.on('error', () => {}) // it did not want its input
    child.stdin?.end(input)
  })
}

test('W3.6: one line chooses the wanted shell, else bash, else sh, and its exit code is the command’s', async () => {
  expect(await run({command: 'echo $0 $SHELL; exit 7'})).toMatchObject({
    code: 7,
    stdout: expect.stringMatching(/bash \S*bash\n$/),
  })
  expect(await run({shell: 'sh', command: 'echo $SHELL'})).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/\/sh\n$/),
  })
  expect(await run({shell: '/no/such/shell', command: 'echo $SHELL'})).toMatchObject({
    stdout: expect.stringMatching(/bash\n$/),
  })
  expect(await run({command: 'echo $SHELL; exit 3'}, {path: '/nowhere'})).toMatchObject({code: 3, stdout: '/bin/sh\n'})
})

test('without a command the shell is a login shell that reads its input', async () => {
  const login = 'shopt -q login_shell && echo login\n'

  expect(await run({shell: 'bash'}, {input: login})).toMatchObject({code: 0, stdout: expect.stringContaining('login')})
  expect(await run({shell: 'sh'}, {input: 'echo read; exit 4\n'})).toMatchObject({code: 4, stdout: 'read\n'})
})

test('a command is one word, whatever is in it, and an empty one is a command', async () => {
  expect(await run({command: `printf '%s|' "$#" 'it''s' "a  b"; echo \`echo x\``})).toMatchObject({
    stdout: '0|its|a  b|x\n',
  })
  expect(await run({command: ''}, {input: 'echo never\n'})).toMatchObject({code: 0, stdout: ''})
})

test.each(['-x', 'sh -c reboot', '$(reboot)', 'a;b', '"'])('%s is no shell', shell => {
  expect(() => shellCommand({shell})).toThrow('is not a program')
})
