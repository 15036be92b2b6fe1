import type {Dialect} from '../dialect.ts'
import {rental} from './rental/index.ts'

/** The foreign APIs, in the order in which they are asked whose path an unknown one is: the most particular first. */
export const dialects: readonly Dialect[] = [rental]
