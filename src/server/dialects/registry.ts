import type {Dialect} from '../dialect.ts'
import {fleet} from './fleet/index.ts'
import {gpuClaims} from './gpu-claims/index.ts'
import {infra} from './infra/index.ts'
import {llmRouter} from './llm-router/index.ts'
import {openAi} from './openai/index.ts'
import {rental} from './rental/index.ts'

/** The foreign APIs, in the order in which they are asked whose path an unknown one is: the most particular first. */
export const dialects: readonly Dialect[] = [llmRouter, openAi, infra, rental, fleet, gpuClaims]
