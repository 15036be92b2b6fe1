import {posix} from 'node:path'
import {ApiError} from '../../client/api-error.ts'
import type {Client} from '../../client/client.ts'
import type {PathStat} from '../../contract/schemas/instances.ts'
import {Failure} from '../failure.ts'

const maxLinks = 16

/** What is at a path of an instance, links followed; undefined when there is nothing. */
export async function statFollowed(
  client: Client,
  id: string,
  path: string,
): Promise<{stat: PathStat; path: string} | undefined> {
  let at = path
  try {
    for (let links = 0; links < maxLinks; links++) {
      const stat = await client.call('instances.statPath', {id, path: at})
      if (stat.kind !== 'link') return {stat, path: at}
      at = posix.resolve(posix.dirname(at), stat.linkTarget)
    }
  } catch (error) {
    if (error instanceof ApiError && error.code === 'path_missing') return undefined
    throw error
  }
  throw new Failure('too_many_links', `${path}: more than ${maxLinks} links one behind the other.`)
}
