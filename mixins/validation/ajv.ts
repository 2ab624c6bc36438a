// One Ajv for every TypeBox schema: parameters, events, replies. No coercion: "1" is not 1.
import type { TSchema } from "@sinclair/typebox";
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import type { FieldFault } from "../../services/contracts/errors.ts";

/** More faults than this tell a client nothing new. */
const FAULTS_MAX = 50;

const ajv = new Ajv({ allErrors: true, useDefaults: false, strict: false, ownProperties: true });
addFormats.default(ajv, ["date-time", "date", "email", "uri"]);

const compiled = new WeakMap<TSchema, ValidateFunction>();

function validatorOf(schema: TSchema): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const fresh = ajv.compile(schema);
  compiled.set(schema, fresh);
  return fresh;
}

/** The faults of a value, none when it is valid. They name fields and rules, never values. */
export function faultsOf(schema: TSchema, value: unknown): readonly FieldFault[] {
  const validate = validatorOf(schema);
  if (validate(value)) return [];
  return describeFaults(validate.errors ?? []);
}

/** Turns Ajv's errors into faults; shared with the gateway's coercing validators. */
export function describeFaults(errors: readonly ErrorObject[]): readonly FieldFault[] {
  return errors
    .filter((error) => error.keyword !== "if" && !isBranchOfUnion(error, errors))
    .slice(0, FAULTS_MAX)
    .map(describeFault);
}

/** A union reports every branch and then itself; only the last says something a client can use. */
function isBranchOfUnion(error: ErrorObject, all: readonly ErrorObject[]): boolean {
  return all.some(
    (other) => other.keyword === "anyOf" && error.schemaPath.startsWith(`${other.schemaPath}/`),
  );
}

function describeFault(error: ErrorObject): FieldFault {
  const base = error.instancePath.slice(1).replaceAll("/", ".");
  const params = error.params as { missingProperty?: string; additionalProperty?: string };
  const name = params.missingProperty ?? params.additionalProperty;
  const field = name === undefined ? base : base === "" ? name : `${base}.${name}`;
  const message =
    error.keyword === "additionalProperties" ? "is not known" : (error.message ?? "is not valid");
  return { field, rule: error.keyword, message };
}
