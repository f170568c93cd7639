// The HTTP interface's documentation: Swagger UI over the service's own OpenAPI document.
// The address is relative, so that it also works below a path of a reverse proxy.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
