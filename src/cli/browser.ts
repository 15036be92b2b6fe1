import {spawn} from 'node:child_process'
import type {OutputMode} from './global-flags.ts'
import {canAsk, isTerminal} from './terminal.ts'

/** Shows a page to a person: by $BROWSER, else by what the system opens pages with. False where there is no such program. */
export function openInBrowser(url: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const program = env.BROWSER || (process.platform === 'darwin' ? 'open' : 'xdg-open')
  return new Promise(resolve => {
    const child = spawn(program, [url], {stdio: 'ignore', detached: true})
    child.once('error', () => resolve(false))
    child.once('spawn', () => {
      child.unref()
      resolve(true)
    })
  })
}

/** Whether a person looks on, for whom a browser is opened. */
export function isForPerson({format, quiet}: Pick<OutputMode, 'format' | 'quiet'>): boolean {
  return format === undefined && !quiet && isTerminal(process.stdout) && canAsk()
}

/** Opens it where a person looks on; elsewhere the URL that was printed is all. */
export async function openForPerson(
  url: string,
  mode: Pick<OutputMode, 'format' | 'quiet'>,
  notice: (text: string) => void,
): Promise<void> {
  if (!isForPerson(mode)) return
  if (!(await openInBrowser(url, process.env))) notice('No browser could be started: open the URL by hand.')
}
