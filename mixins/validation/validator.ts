// Moleculer's validator over TypeBox schemas. Its error names fields and rules; Moleculer's own
// would carry the rejected values, such as a password, over the bus and into logs.
import { type TSchema, Kind } from "@sinclair/typebox";
import { type ActionHandler, type ActionSchema, type Middleware, Validators } from "moleculer";
import { PlatformError } from "../../services/contracts/errors.ts";
import { faultsOf } from "./ajv.ts";

export class TypeBoxValidator extends Validators.Base {
  override compile(schema: object): (params: unknown) => true {
    return (params) => {
      const faults = faultsOf(schema as TSchema, params);
      if (faults.length > 0) throw new PlatformError("VALIDATION_FAILED", faults);
      return true;
    };
  }

  override validate(params: object, schema: object): boolean {
    return this.compile(schema)(params);
  }

  override convertSchemaToMoleculer(): never {
    throw new Error("schemas are TypeBox objects and are never converted");
  }

  override middleware(): Middleware {
    return {
      name: "Validator",
      localAction(handler: ActionHandler, action: ActionSchema): ActionHandler {
        const schema: unknown = action.params;
        if (!isTypeBox(schema)) return handler;
        return function validateParams(ctx) {
          const faults = faultsOf(schema, ctx.params ?? {});
          if (faults.length > 0) {
            return Promise.reject(new PlatformError("VALIDATION_FAILED", faults));
          }
          return handler.call(this, ctx) as unknown;
        };
      },
    };
  }
}

function isTypeBox(schema: unknown): schema is TSchema {
  return typeof schema === "object" && schema !== null && Kind in schema;
}
