//! One request in, one answer out: the same for every door.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;

use super::call::{Aside, Call, Shape, Words};
use super::fault::Effect;
use super::ledger::{self, Verb};
use super::resource::Subresource;
use super::route::{Query, Route, Target};
use super::server::Server;
use super::state::State;
use super::status::Refusal;
use super::{delete, discovery, exec, log, openapi, patch, read, subresource, watch, write, yaml};

/// An answer's body: whole, or as long as a watch goes on.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What a request comes to, once the state has been asked.
enum Reply {
    Json(u16, Value),
    Yaml(u16, Value),
    /// Aggregated discovery, which clients know by its content type.
    Discovery(Value),
    Text(String),
    Watch(watch::Watch),
    Log(log::Log),
    Exec(exec::Session),
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a request. An error is a broken connection: no answer at all.
pub(crate) async fn handle<B>(server: Arc<Server>, request: Request<B>) -> Result<Response<Body>, io::Error>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: std::fmt::Display,
{
    let (mut parts, body) = request.into_parts();
    let entry = describe(&parts, &server);
    let judgement = server.with(|state| {
        state.ledger.enter(entry.clone());
        state.rules.judge(&entry)
    });
    if !judgement.delay.is_zero() {
        tokio::time::sleep(judgement.delay).await;
    }
    match &judgement.effect {
        Some(Effect::Refuse) => return Err(io::ErrorKind::ConnectionRefused.into()),
        Some(Effect::Expire) if entry.verb == Verb::Watch => {
            let refusal = Refusal::expired("The resourceVersion for the provided watch is too old.");
            let line = format!("{}\n", serde_json::json!({"type": "ERROR", "object": refusal.body()}));
            return Ok(respond(200, "application/json", line));
        }
        Some(Effect::Conflict) => {
            if let Some(refusal) = server.with(|state| outdated(state, &parts)) {
                return Ok(refuse(&refusal));
            }
        }
        Some(effect) => {
            if let Some(refusal) = effect.refusal() {
                return Ok(refuse(&refusal));
            }
            if let Some(query) = effect.query(parts.uri.query().unwrap_or_default()) {
                parts.uri = format!("{}?{query}", parts.uri.path()).parse().expect("a query made of the asked one");
            }
        }
        None => {}
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Err(io::Error::other(error.to_string())),
    };
    let mut aside = Aside::default();
    let reply = server.with(|state| answer(state, &parts, body, &server, entry.verb, &mut aside));
    if !aside.delay.is_zero() {
        tokio::time::sleep(aside.delay).await;
    }
    if judgement.effect == Some(Effect::LoseAnswer) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let cut = judgement.effect == Some(Effect::CutAnswer)
        && !matches!(reply, Ok(Reply::Watch(_) | Reply::Log(_) | Reply::Exec(_)));
    let mut response = match reply {
        Err(refusal) => refuse(&refusal),
        Ok(Reply::Json(code, value)) => respond(code, "application/json", written(&value)),
        Ok(Reply::Yaml(code, value)) => respond(code, "application/yaml", yaml::write(&value)),
        Ok(Reply::Discovery(value)) => {
            let mut response = respond(200, AGGREGATED, written(&value));
            response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("public"));
            response
        }
        Ok(Reply::Text(text)) => respond(200, "text/plain; charset=utf-8", text),
        Ok(Reply::Watch(opened)) => {
            let lines = watch::body(opened, server).map_ok(Frame::data);
            stream("application/json", BodyExt::boxed_unsync(StreamBody::new(lines)))
        }
        // Of a pod that has no node there is nobody to ask.
        Ok(Reply::Log(opened)) if opened.is_nowhere() => {
            let mut response = respond(204, "text/plain", String::new());
            response.headers_mut().remove(header::CONTENT_TYPE);
            response
        }
        Ok(Reply::Log(opened)) => {
            let lines = log::body(opened, server).map_ok(Frame::data);
            stream("text/plain", BodyExt::boxed_unsync(StreamBody::new(lines)))
        }
        Ok(Reply::Exec(session)) => exec::answer(session, &parts, upgrade),
    };
    for warning in aside.warnings {
        if let Ok(value) = header::HeaderValue::from_str(&format!("299 - {warning:?}")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(if cut { cut_short(response).await } else { response })
}

/// The refusal of a write whose version is not the newest.
fn outdated(state: &State, parts: &Parts) -> Option<Refusal> {
    let Route::Target(target) = Route::of(parts.uri.path()) else { return None };
    let resource = state.registry.find(&target.group, &target.version, &target.plural)?;
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    Some(Refusal::conflict(&resource, target.name.as_deref()?, why))
}

/// The answer, with the connection broken in the middle of its body.
async fn cut_short(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, whole.len().into());
    let half = whole.slice(..whole.len() / 2);
    let pieces = [Ok(Frame::data(half)), Err(io::ErrorKind::ConnectionReset.into())];
    Response::from_parts(parts, BodyExt::boxed_unsync(StreamBody::new(futures::stream::iter(pieces))))
}

/// Whether a rule in place lets nobody connect for this request. Asked by doors that can tell a
/// refused connection from a broken one.
pub(crate) fn is_refused<B>(server: &Arc<Server>, request: &Request<B>) -> bool {
    let entry = describe_parts(request.method(), request.uri(), request.headers(), server);
    server.with(|state| state.rules.refuses(&entry))
}

fn answer(
    state: &mut State,
    parts: &Parts,
    body: Bytes,
    server: &Server,
    verb: Verb,
    aside: &mut Aside,
) -> Result<Reply, Refusal> {
    let target = match Route::of(parts.uri.path()) {
        Route::Target(target) => target,
        other => return about_the_server(state, &other, parts),
    };
    let resource = state
        .registry
        .find(&target.group, &target.version, &target.plural)
        .ok_or_else(|| not_served(state, &target.group, &target.version))?;
    if target.namespace.is_some() && !resource.namespaced {
        return Err(not_served(state, &target.group, &target.version));
    }
    let part = match &target.subresource {
        None => None,
        Some(word) => {
            let word = word.split('/').next().unwrap_or_default();
            let part = Subresource::named(word).filter(|part| resource.has(*part));
            Some(part.ok_or_else(|| match &target.name {
                Some(name) if resource.is_custom() => Refusal::not_found(&resource, name),
                _ => not_served(state, &target.group, &target.version),
            })?)
        }
    };
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let streams = target.name.is_none() && parts.method == Method::GET;
    let (shape, words) = acceptable(&parts.headers, streams, part)?;
    let agent = text(header::USER_AGENT);
    let call = Call {
        resource,
        namespace: target.namespace.unwrap_or_default(),
        name: target.name,
        subresource: part,
        query: Query::of(parts.uri.query().unwrap_or_default()),
        content_type: text(header::CONTENT_TYPE).to_owned(),
        shape,
        agent: agent.split(['/', ' ']).next().filter(|word| !word.is_empty()).unwrap_or("unknown").to_owned(),
        body,
        now: server.clock().now(),
        aside: RefCell::default(),
    };
    if let Some(warning) = call.resource.definition().and_then(|definition| definition.warning.clone()) {
        call.warn(warning);
    }
    if call.resource.is("", "endpoints") {
        call.warn("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned());
    }
    let reply = match part {
        Some(part) => about_a_part(state, &call, part, verb),
        None => about_objects(state, &call, verb),
    };
    *aside = call.aside.take();
    match (reply, words) {
        (Ok(Reply::Json(code, value)), Words::Yaml) => Ok(Reply::Yaml(code, value)),
        (reply, _) => reply,
    }
}

/// How the client wants its answer, or why it cannot have it.
fn acceptable(headers: &HeaderMap, streams: bool, part: Option<Subresource>) -> Result<(Shape, Words), Refusal> {
    if let Some(wanted) = Shape::of(headers) {
        return Ok(wanted);
    }
    // What is below a pod speaks types of its own.
    if matches!(part, Some(Subresource::Log | Subresource::Exec)) {
        return Ok((Shape::Whole, Words::Json));
    }
    let known = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Err(if accept.contains("application/json") {
        Refusal::shape_not_acceptable(format!("only the following media types are accepted: {known}"))
    } else {
        let more = ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        let more = if streams { more } else { "" };
        Refusal::not_acceptable(format!("406: Not Acceptable\n\nAvailable representations: {known}{more}"))
    })
}

fn about_objects(state: &mut State, call: &Call, verb: Verb) -> Result<Reply, Refusal> {
    // Writing needs to know where: a namespaced kind has no collection across namespaces to write to.
    let placed = !call.resource.namespaced || !call.namespace.is_empty();
    if call.resource.is("", "bindings") && verb != Verb::Create {
        return Err(Refusal::method_not_allowed());
    }
    let json = |(code, value)| Reply::Json(code, value);
    match verb {
        Verb::Get if placed => read::get(state, call).map(|value| Reply::Json(200, value)),
        Verb::List => read::list(state, call).map(|value| Reply::Json(200, value)),
        Verb::Watch => watch::open(state, call).map(Reply::Watch),
        Verb::Create if placed && call.resource.is("", "bindings") => subresource::bind_by_name(state, call).map(json),
        Verb::Create if placed => write::create(state, call).map(json),
        Verb::Update if placed => write::update(state, call).map(json),
        Verb::Patch if placed => patch::patch(state, call).map(json),
        Verb::Delete if placed => delete::one(state, call).map(json),
        Verb::DeleteCollection if placed && !call.resource.is("", "namespaces") => {
            delete::collection(state, call).map(json)
        }
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// A built-in group answers for itself what it does not have; everything else is nobody's path.
fn not_served(state: &State, group: &str, version: &str) -> Refusal {
    let mut served = state.registry.all().filter(|resource| !resource.is_custom());
    if group.is_empty() || served.any(|resource| resource.group == group && resource.version == version) {
        Refusal::no_such_resource()
    } else {
        Refusal::no_such_path()
    }
}

fn about_a_part(state: &mut State, call: &Call, part: Subresource, verb: Verb) -> Result<Reply, Refusal> {
    let json = |(code, value)| Reply::Json(code, value);
    match (part, verb) {
        (Subresource::Log, Verb::Get) => log::open(state, call).map(Reply::Log),
        (Subresource::Exec, Verb::Connect) => exec::open(state, call).map(Reply::Exec),
        (Subresource::Scale, Verb::Get) => subresource::scale(state, call).map(|value| Reply::Json(200, value)),
        (Subresource::Scale, Verb::Update | Verb::Patch) => subresource::rescale(state, call, verb).map(json),
        (Subresource::Binding, Verb::Create) => subresource::bind(state, call).map(json),
        (Subresource::Eviction, Verb::Create) => subresource::evict(state, call).map(json),
        (Subresource::Status, Verb::Get) => read::get(state, call).map(|value| Reply::Json(200, value)),
        (Subresource::Status | Subresource::Finalize | Subresource::Approval, Verb::Update) => {
            write::update(state, call).map(json)
        }
        (Subresource::Status | Subresource::Approval, Verb::Patch) => patch::patch(state, call).map(json),
        (
            Subresource::Attach
            | Subresource::PortForward
            | Subresource::Proxy
            | Subresource::EphemeralContainers
            | Subresource::Resize
            | Subresource::Token,
            _,
        ) => Err(Refusal::not_imitated(&format!("`{}/{}`", call.resource.plural, part.word()))),
        _ => Err(Refusal::method_not_allowed()),
    }
}

fn about_the_server(state: &State, route: &Route, parts: &Parts) -> Result<Reply, Refusal> {
    // The list of groups is given by a handler that looks at no method.
    if parts.method != Method::GET && *route != Route::Groups {
        return Err(Refusal::method_not_allowed());
    }
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let aggregated = accept.split(',').any(|kind| kind.contains("g=apidiscovery.k8s.io") && kind.contains("v=v2;"));
    let json = |value| Ok(Reply::Json(200, value));
    match route {
        Route::Version => json(discovery::version()),
        Route::Health => Ok(Reply::Text("ok".to_owned())),
        Route::CoreVersions if aggregated => Ok(Reply::Discovery(discovery::aggregated(&state.registry, true))),
        Route::Groups if aggregated => Ok(Reply::Discovery(discovery::aggregated(&state.registry, false))),
        Route::CoreVersions => json(discovery::core_versions()),
        Route::Groups => json(discovery::groups(&state.registry)),
        Route::Group(group) => json(discovery::group(&state.registry, group)?),
        Route::Resources { group, version } => json(discovery::resources(&state.registry, group, version)?),
        Route::OpenapiIndex => json(openapi::index(&state.registry)),
        Route::Openapi(path) => json(openapi::document(&state.registry, path)?),
        Route::Unknown | Route::Target(_) => Err(Refusal::no_such_path()),
    }
}

fn describe(parts: &Parts, server: &Server) -> ledger::Request {
    describe_parts(&parts.method, &parts.uri, &parts.headers, server)
}

fn describe_parts(method: &Method, uri: &http::Uri, headers: &HeaderMap, server: &Server) -> ledger::Request {
    let query = uri.query().unwrap_or_default();
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (target, verb) = match Route::of(uri.path()) {
        Route::Target(target) => {
            let verb = verb(method, &target, &Query::of(query));
            (Some(target), verb)
        }
        _ => (None, Verb::Other),
    };
    let text = |pick: fn(&Target) -> Option<&String>| target.as_ref().and_then(pick).cloned().unwrap_or_default();
    ledger::Request {
        at: server.clock().elapsed(),
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: query.to_owned(),
        agent: agent.to_owned(),
        verb,
        resource: text(|target| Some(&target.plural)),
        namespace: text(|target| target.namespace.as_ref()),
        name: text(|target| target.name.as_ref()),
        subresource: text(|target| target.subresource.as_ref()),
    }
}

fn verb(method: &Method, target: &Target, query: &Query) -> Verb {
    let connects = matches!(target.subresource.as_deref(), Some("exec" | "attach" | "portforward"));
    match (method.as_str(), &target.name) {
        ("GET" | "POST", Some(_)) if connects => Verb::Connect,
        // A single object is not watched: with a name the real server ignores the wish.
        ("GET" | "HEAD", Some(_)) => Verb::Get,
        ("GET", None) if target.watched || query.flag("watch") => Verb::Watch,
        ("GET", None) => Verb::List,
        ("POST", None) => Verb::Create,
        ("POST", Some(_)) if target.subresource.is_some() => Verb::Create,
        ("PUT", Some(_)) => Verb::Update,
        ("PATCH", Some(_)) => Verb::Patch,
        ("DELETE", Some(_)) => Verb::Delete,
        ("DELETE", None) => Verb::DeleteCollection,
        _ => Verb::Other,
    }
}

fn refuse(refusal: &Refusal) -> Response<Body> {
    if refusal.is_plain() {
        return respond(refusal.code(), "text/plain; charset=utf-8", refusal.message().to_owned());
    }
    let mut response = respond(refusal.code(), "application/json", refusal.body().to_string());
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A value as it is sent; `Display` would bring it piece by piece.
fn written(value: &Value) -> String {
    serde_json::to_string(value).expect("a value is JSON")
}

/// An answer with a whole body.
pub(crate) fn respond(code: u16, kind: &'static str, body: String) -> Response<Body> {
    let body = BodyExt::boxed_unsync(Full::new(Bytes::from(body)).map_err(|never| match never {}));
    let mut response = stream(kind, body);
    *response.status_mut() = StatusCode::from_u16(code).expect("the codes of refusals and answers are HTTP's");
    response
}

fn stream(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, private"));
    response
}
