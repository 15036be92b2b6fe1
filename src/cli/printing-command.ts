import {Command} from '@oclif/core'
import {isMachine, modeOf, type OutputMode} from './global-flags.ts'
import type {Column} from './output/column.ts'
import {encodeList, encodeObject, type Line} from './output/listing.ts'
import {encodeValue, pickFields, write} from './output/machine.ts'
import {safe} from './output/safe.ts'
import {widthOf, wrap, wrapChoices} from './output/wrap.ts'
import {isTerminal} from './terminal.ts'
import type {Watch} from './watch.ts'

/** What commands print, and where: data on stdout, all else on stderr, as the output mode says. */
export abstract class PrintingCommand extends Command {
  protected mode: OutputMode = modeOf({})
  /** With -w: what is printed goes through it. */
  protected watch: Watch | undefined

  /** A sentence on stdout, unless the output is for machines; what came from elsewhere in it is made safe. */
  override log(message = ''): void {
    if (isMachine(this.mode.format)) return
    const text = safe(message, {keepNewlines: true})
    if (this.watch) void this.watch.say(text)
    else process.stdout.write(`${text}\n`)
  }

  override logToStderr(message = ''): void {
    process.stderr.write(`${safe(message, {keepNewlines: true})}\n`)
  }

  /** A remark beside the result, on stderr. */
  protected notice(message: string): void {
    if (!this.mode.quiet) this.logToStderr(wrap(message, widthOf(process.stderr)))
  }

  /** What one may do next: only for a person at a terminal. */
  protected hint(message: string): void {
    const isPerson = isTerminal(process.stderr) && isTerminal(process.stdout)
    if (this.mode.quiet || this.mode.format !== undefined || !isPerson) return
    this.logToStderr(wrapChoices(message, widthOf(process.stderr)))
  }

  /** Says what was done; with -q its id, with -o name its name, with csv and tsv nothing but those. */
  protected say(sentence: string, object: {id?: string; name?: string; username?: string} = {}): void {
    const {format, quiet} = this.mode
    if (quiet && object.id !== undefined) this.log(object.id)
    else if (format === 'name') this.log(object.name ?? object.username ?? '')
    else this.log(wrap(sentence, widthOf(process.stdout)))
  }

  /** Prints of a list what is wanted, as the format wants it, and returns that. */
  protected async list<T extends object>(found: T[], columns: Column<T>[], empty: string): Promise<T[]> {
    const rows = isShaped(this.mode) ? (await import('./output/shape.ts')).shapeRows(found, columns, this.mode) : found
    if (isMachine(this.mode.format)) return rows
    const none = rows.length < found.length ? `None of ${found.length} is so.` : empty
    if (this.watch) await this.watch.list(rows, columns, none)
    else {
      const text = await encodeList(rows, columns, this.mode)
      if (text === undefined) this.logToStderr(none)
      else if (!(await this.#page(text))) await write(process.stdout, text)
    }
    return rows
  }

  async #page(text: string): Promise<boolean> {
    if (!this.mode.page || !isTerminal(process.stdout) || this.mode.quiet) return false
    return (await import('./output/pager.ts')).page(text)
  }

  /** Prints one thing as label and value, line by line, and returns it. */
  protected async show<T extends object>(object: T, lines: Line[]): Promise<T> {
    if (isMachine(this.mode.format)) return object
    if (this.watch) await this.watch.show(object, lines)
    else await write(process.stdout, await encodeObject(object, lines, this.mode))
    return object
  }

  /** Prints for machines what a command returned. */
  protected async writeResult(result: unknown): Promise<void> {
    const {fields, jq, format} = this.mode
    if (result === undefined || !isMachine(format)) return
    const picked = fields ? pickFields(result, fields) : result
    const text = jq === undefined ? encodeValue(picked, format) : (await import('./output/jq.ts')).runJq(picked, jq)
    await write(process.stdout, await text)
  }
}

function isShaped({where, selector, sort, limit}: OutputMode): boolean {
  return where.length + selector.length + sort.length > 0 || limit !== undefined
}
