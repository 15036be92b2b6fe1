import {write} from './output/machine.ts'

/** Examples come first, because they are what people look for. */
const order = ['USAGE', 'EXAMPLES', 'ARGUMENTS', 'DESCRIPTION', 'ALIASES', 'FLAGS', 'FLAG DESCRIPTIONS']

/** oclif's help of a command, a topic or the root, with examples first, in the pager where it is longer than the screen. */
export async function showHelp(words: string[], root: string): Promise<void> {
  const {CommandHelp, Config, Help} = await import('@oclif/core')

  class CommandPage extends CommandHelp {
    /** Without every flag: they have lists of their own below. */
    protected override defaultUsage(): string {
      const {id, args = {}, strict} = this.command
      const named = Object.values(args)
        .filter(({hidden}) => !hidden)
        .map(({name, required}) => {
          const word = `${name.toUpperCase()}${strict === false ? '…' : ''}`
          return required ? word : `[${word}]`
        })
      return [id, ...named, '[FLAGS]'].join(' ')
    }

    protected override sections() {
      const place = ({header}: {header: string}) => order.indexOf(header)
      return super.sections().sort((a, b) => place(a) - place(b))
    }
  }

  let text = ''
  class Page extends Help {
    protected override CommandHelpClass = CommandPage

    protected override log(...lines: string[]): void {
      text += `${lines.join(' ')}\n`
    }
  }

  const config = await Config.load({root})
  try {
    await new Page(config, config.pjson.oclif.helpOptions).showHelp(words)
  } finally {
    await print(text, !words.includes('--no-pager'))
  }
}

async function print(text: string, mayPage: boolean): Promise<void> {
  if (mayPage && process.stdout.isTTY && (await (await import('./output/pager.ts')).page(text))) return
  await write(process.stdout, text)
}
