import {spawn} from 'node:child_process'
import {isTerminal} from '../terminal.ts'

/** Shows text that is longer than the screen in the person's pager. False where there is no use for one. */
export async function page(text: string, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const {stdout, stdin} = process
  const command = env.GPUCTL_PAGER ?? env.PAGER ?? 'less'
  const isLong = text.split('\n').length > (stdout.rows ?? 24)
  if (!isLong || !isTerminal(stdout, env) || !stdin.isTTY || command === '' || command === 'cat') return false
  return new Promise(resolve => {
    // The pager takes Ctrl-C for itself.
    const ignore = () => {}
    process.on('SIGINT', ignore)
    const child = spawn(command, {
      shell: true,
      stdio: ['pipe', 'inherit', 'ignore'],
      env: {...env, LESS: env.LESS ?? 'FiRX'},
    })
    const end = (isShown: boolean) => {
      process.off('SIGINT', ignore)
      resolve(isShown)
    }
    child.once('error', () => end(false))
    // There is no such program, or it is none (sh says 127, 126).
    child.once('close', code => end(code !== 126 && code !== 127))
    child.stdin.on('error', () => {})
    child.stdin.end(text)
  })
}
