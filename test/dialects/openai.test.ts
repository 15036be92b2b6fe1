import OpenAI from 'openai'
import {describe, expect, test} from 'vitest'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {registerRuntime, type StandInOptions, type StandInRuntime, standInRuntime} from '../support/stand-in-runtime.ts'

const chat = {model: 'gpt-oss-20b', messages: [{role: 'user' as const, content: 'Hello?'}]}

/** A server with so many approved runtimes, and OpenAI's own client with a key for models alone. */
async function inferenceWorld({
  runtimes = [{}],
  ...options
}: {runtimes?: StandInOptions[]} & Parameters<typeof controlPlane>[0] = {}) {
  const plane = await controlPlane(options)
  const there: StandInRuntime[] = []
  for (const [index, one] of runtimes.entries()) {
    there.push(await standInRuntime(one))
    await registerRuntime(plane, there[index] as StandInRuntime, {machineName: `server-${index + 1}`})
  }
  return {plane, runtimes: there, runtime: there[0] as StandInRuntime, ...(await keyFor(plane))}
}

async function keyFor(plane: ControlPlane, limits: Record<string, unknown> = {}) {
  const name = `bot-${Math.random().toString(36).slice(2)}`
  const input = {name, scopes: ['inference'], ...limits}
  const {secret} = await plane.ok<{secret: string}>('tokens.create', input, {token: plane.adminToken})
  const client = new OpenAI({apiKey: secret, baseURL: `${plane.url}/v1`, maxRetries: 0})
  return {key: secret, client}
}

describe('W1.6 W1.6-1: OpenAI’s own client', () => {
  test('gets whole answers: chat, completions, embeddings, responses', async () => {
    const {client, runtime} = await inferenceWorld()

    const answer = await client.chat.completions.create(chat)
    expect(answer.choices[0]?.message.content).toBe('Hello.')
    expect((await client.completions.create({model: chat.model, prompt: 'Hello?'})).choices[0]?.text).toBe('Hello.')
    const vectors = await client.embeddings.create({model: chat.model, input: 'Hello?', encoding_format: 'float'})
    expect(vectors.data[0]?.embedding).toEqual([0.25, -0.5, 1])
    expect((await client.responses.create({model: chat.model, input: 'Hello?'})).output_text).toBe('Hello.')

    expect(runtime.asked().map(({path}) => path)).toEqual([
      '/v1/chat/completions',
      '/v1/completions',
      '/v1/embeddings',
      '/v1/responses',
    ])
    expect(JSON.parse(runtime.asked()[0]?.body ?? '')).toEqual(chat)
  })
})
