import {spawn} from 'node:child_process'

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
