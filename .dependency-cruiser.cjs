// Who may import whom. Every rule is seen to fail by test/arch/boundaries.test.ts.
"use strict";

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "no-circular",
      severity: "error",
      comment: "A cycle means that two modules are one.",
      from: {},
      to: { circular: true },
    },
    {
      name: "domain-is-pure",
      severity: "error",
      comment:
        "Business rules run with nothing running: only kernel, contracts and their own kind.",
      from: { path: "^services/[^/]+/domain/" },
      to: {
        pathNot: ["^services/kernel/", "^services/contracts/", "^services/[^/]+/domain/"],
        dependencyTypesNot: ["type-only"],
      },
    },
    {
      name: "kernel-knows-nobody",
      severity: "error",
      comment: "The kernel is what everything else stands on.",
      from: { path: "^services/kernel/" },
      to: { path: "^(services/(?!kernel/)|mixins|lua|config|migrations|scripts|test)" },
    },
    {
      name: "contracts-know-only-kernel",
      severity: "error",
      comment: "Contracts are shared by all, so they can depend on none.",
      from: { path: "^services/contracts/" },
      to: { path: "^(services/(?!kernel/|contracts/)|mixins|lua|config|migrations|scripts|test)" },
    },
    {
      name: "no-service-to-service",
      severity: "error",
      comment:
        "Services meet over the bus: call() and events. node.ts and units.ts put them together.",
      from: { path: "^services/(?!kernel/|contracts/)([^/]+)/" },
      to: { path: "^services/(?!kernel/|contracts/)([^/]+)/", pathNot: "^services/$1/" },
    },
    {
      name: "mixins-know-no-service",
      severity: "error",
      comment: "What all services share must not know one of them.",
      from: { path: "^(mixins|lua|config)/" },
      to: { path: "^(services/(?!kernel/|contracts/)|scripts|test|migrations)" },
    },
    {
      name: "migrations-stand-alone",
      severity: "error",
      comment: "A migration must do tomorrow what it did when it was written.",
      from: { path: "^migrations/[^/]+/" },
      to: { path: "^(services|mixins|lua|config|scripts|test)/" },
    },
    {
      name: "sequelize-in-few-places",
      severity: "error",
      comment: "Models never travel: repositories hand out plain objects.",
      from: {
        path: "^(services|mixins|lua|config)/",
        pathNot: ["\\.models\\.ts$", "\\.repository\\.ts$", "^mixins/database/", "category"],
      },
      to: { path: "node_modules/sequelize" },
    },
    {
      name: "production-not-to-test",
      severity: "error",
      comment: "The product must run without its tests.",
      from: {
        path: "^(services|mixins|lua|config|migrations|scripts|moleculer)",
        pathNot: "^scripts/(test|bench)",
      },
      to: { path: "^test/" },
    },
    {
      name: "no-unresolvable",
      severity: "error",
      comment: "An import that resolves to nothing fails only when it is reached.",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node"] },
  },
};
