import type {Dialect} from '../dialect.ts'

/** The foreign APIs, in the order in which they are asked whose path an unknown one is: the most particular first. */
export const dialects: readonly Dialect[] = []
