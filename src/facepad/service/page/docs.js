// The documentation of the HTTP interface: Swagger UI with the OpenAPI document of the service.
// The address is relative, because the page may be below a path of a reverse proxy.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
