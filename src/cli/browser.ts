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

/** Opens it where a person looks on; elsewhere the URL that was printed is all. */
export async function openForPerson(
  url: string,
  {format, quiet}: Pick<OutputMode, 'format' | 'quiet'>,
  notice: (text: string) => void,
): Promise<void> {
  if (format !== undefined || quiet || !isTerminal(process.stdout) || !canAsk()) return
  if (!(await openInBrowser(url, process.env))) notice('No browser could be started: open the URL by hand.')
}
