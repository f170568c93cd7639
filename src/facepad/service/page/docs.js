// The HTTP interface's documentation: Swagger UI over the service's own OpenAPI document.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
