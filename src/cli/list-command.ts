import {BaseCommand} from './base-command.ts'
import {globalFlags, listFlags, watchFlags} from './global-flags.ts'

/** The most that the server gives at once. */
const pageSize = 1000

/** A command that prints a list with `this.list`: --where, --selector, --sort, --limit and -w work by themselves. */
export abstract class ListCommand extends BaseCommand {
  static override baseFlags = {...globalFlags, ...listFlags}

  /**
   * As many as asked for; everything, page by page, where rows are still to be picked or sorted here. More than a
   * hundred thousand are never fetched.
   */
  protected async pages<T>(
    {limit}: {limit?: number},
    fetch: (page: {limit?: number; offset?: number}) => Promise<T[]>,
  ): Promise<T[]> {
    const {where, selector, sort} = this.mode
    if (where.length + selector.length + sort.length === 0) return fetch({limit})
    const found: T[] = []
    for (let offset = 0; offset < 100 * pageSize; offset += pageSize) {
      const page = await fetch({limit: pageSize, offset})
      found.push(...page)
      if (page.length < pageSize) break
    }
    return found
  }
}

/** A command that prints one thing with `this.show`: -w works by itself. */
export abstract class GetCommand extends BaseCommand {
  static override baseFlags = {...globalFlags, ...watchFlags}
}
