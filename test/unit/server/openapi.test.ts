import {Validator} from '@seriousme/openapi-schema-validator'
import {expect, test} from 'vitest'
import {dialects} from '../../../src/server/dialects/registry.ts'
import {controlPlane} from '../../support/control-plane.ts'

interface Document {
  paths: Record<string, Record<string, {tags: string[]; operationId: string}>>
}

test('the document is valid OpenAPI 3.1 in the eyes of a validator that is not ours', async () => {
  const plane = await controlPlane()
  const {json} = await plane.call('GET', '/openapi.json')

  expect(await new Validator().validate(json)).toMatchObject({valid: true})
})

test('the validator sees what is wrong: a document with an operation that answers nothing is refused', async () => {
  const plane = await controlPlane()
  const {json} = await plane.call('GET', '/openapi.json')
  json.paths['/openapi/broken'] = {get: {responses: 'none'}}

  expect(await new Validator().validate(json)).toMatchObject({valid: false})
})

test('every route of every family stands in the document under its tag, with an operation id of its own', async () => {
  const plane = await controlPlane()
  const {paths} = (await plane.call('GET', '/openapi.json')).json as Document
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({place: `${method.toUpperCase()} ${path}`, ...one})),
  )

  for (const {name, routes} of dialects) {
    for (const {method, path, also = [], spelled = [path, ...also]} of routes) {
      expect(spelled.map(one => one.toLowerCase())).toEqual([path, ...also].map(one => one.toLowerCase()))
      for (const one of spelled) {
        const place = `${method} ${one.replace(/:(\w+)(\([^)]*\))?/g, '{$1}')}`
        expect(described.find(known => known.place === place)?.tags, place).toEqual([name])
      }
    }
  }
  expect(paths).toHaveProperty('/instance/createInstance')
  expect(new Set(described.map(({operationId}) => operationId)).size).toBe(described.length)
})
