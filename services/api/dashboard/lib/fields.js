// Form fields made from a JSON schema, so that the form asks for what the API takes.

import { el } from "./dom.js";
import { t } from "./texts.js";

const LONG_TEXT = 300;

/** The fields of an object schema (with `definitions` for its references), by name. */
export function fieldsOf(schema, definitions, prefix) {
  const required = new Set(schema.required ?? []);
  const entry = ([name, given]) => [
    name,
    field(name, plain(given, definitions), { required: required.has(name), prefix }),
  ];
  return Object.fromEntries(Object.entries(schema.properties).map(entry));
}

// Follows a reference, and leaves the null out of "this or null".
function plain(schema, definitions) {
  if (schema.$ref)
    return {
      ...plain(definitions[schema.$ref.split("/").pop()], definitions),
      ...schema,
      $ref: undefined,
    };
  if (schema.anyOf)
    return {
      ...plain(
        schema.anyOf.find((each) => each.type !== "null"),
        definitions,
      ),
      default: schema.default,
    };
  return schema;
}

function field(name, schema, { required, prefix }) {
  const id = `${prefix}-${name}`;
  const input = control(id, name, schema);
  input.required = required && (schema.minLength ?? 0) > 0;
  if (schema.default !== undefined && schema.default !== null) input.value = schema.default;
  const error = el("span", { class: "error", id: `${id}-error`, hidden: true });
  input.setAttribute("aria-describedby", error.id);
  const label = el("label", { for: id }, labelOf(name));
  return {
    element: el("div", { class: `field ${name}` }, label, input, error),
    input,
    error,
    schema,
  };
}

function labelOf(name) {
  return t(name[0].toUpperCase() + name.slice(1).replaceAll("_", " "));
}

function control(id, name, schema) {
  const common = { id, name, dir: "auto", autocomplete: "off" };
  if (schema.enum)
    return el("select", common, ...schema.enum.map((value) => el("option", { value }, t(value))));
  if (schema.type === "integer")
    return el("input", { ...common, type: "number", min: schema.minimum, max: schema.maximum });
  if ((schema.maxLength ?? 0) > LONG_TEXT)
    return el("textarea", { ...common, rows: 2, maxlength: schema.maxLength });
  return el("input", { ...common, type: "text", maxlength: schema.maxLength });
}

/** The values as the API wants them; an empty field that isn't required is left out. */
export function valuesOf(fields, schema) {
  const values = {};
  for (const [name, { input, schema: own }] of Object.entries(fields)) {
    const needed = schema.required?.includes(name);
    if (input.value === "" && !needed) continue;
    values[name] = own.type === "integer" ? Number(input.value) : input.value;
  }
  return values;
}

/** Shows what the API found wrong, beside the fields; gives what belongs to none of them. */
export function showErrors(fields, errors) {
  const others = [];
  for (const { error, input } of Object.values(fields)) {
    error.hidden = true;
    input.removeAttribute("aria-invalid");
  }
  for (const { field: path, message } of errors) {
    const found = fields[path.split(".").pop()];
    if (found === undefined) {
      others.push(message);
      continue;
    }
    found.error.textContent = message;
    found.error.hidden = false;
    found.input.setAttribute("aria-invalid", "true");
  }
  return others;
}
