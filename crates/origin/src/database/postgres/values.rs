//! Parameters on their way to Postgres, and rows on theirs back.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use edge_cache_core::Timestamp;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::database::{DbError, Row, Value};

#[derive(Debug)]
pub(super) struct Param<'a>(pub(super) &'a Value);

pub(super) fn typed<'a>(params: &'a [Param<'a>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    params.iter().map(|param| (param as &(dyn ToSql + Sync), param.0.postgres_type())).collect()
}

impl Value {
    fn postgres_type(&self) -> Type {
        match self {
            Value::Null => Type::UNKNOWN,
            Value::Bool(_) => Type::BOOL,
            Value::Int(_) => Type::INT8,
            Value::Float(_) => Type::FLOAT8,
            Value::Text(_) => Type::TEXT,
            Value::Time(_) => Type::TIMESTAMPTZ,
            Value::TextList(_) => Type::TEXT_ARRAY,
            Value::Json(_) => Type::JSONB,
            Value::Bytes(_) => Type::BYTEA,
        }
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Bool(truth) => truth.to_sql(ty, out),
            Value::Int(number) => number.to_sql(ty, out),
            Value::Float(number) => number.to_sql(ty, out),
            Value::Text(text) => text.to_sql(ty, out),
            Value::Time(time) => system_time(*time).to_sql(ty, out),
            Value::TextList(list) => list.to_sql(ty, out),
            Value::Json(json) => json.to_sql(ty, out),
            Value::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn system_time(time: Timestamp) -> SystemTime {
    let away = Duration::from_millis(time.as_millis().unsigned_abs());
    match time.as_millis() {
        0.. => SystemTime::UNIX_EPOCH + away,
        _ => SystemTime::UNIX_EPOCH - away,
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Timestamp::EPOCH + since,
        Err(before) => Timestamp::EPOCH - before.duration(),
    }
}

pub(super) fn rows(answer: &[tokio_postgres::Row]) -> Result<Vec<Row>, DbError> {
    let Some(first) = answer.first() else { return Ok(Vec::new()) };
    let columns: Arc<[String]> = first.columns().iter().map(|column| column.name().to_owned()).collect();
    let values = |row| (0..columns.len()).map(|at| value(row, at)).collect::<Result<_, _>>();
    answer.iter().map(|row| values(row).map(|values| Row::new(Arc::clone(&columns), values))).collect()
}

fn value(row: &tokio_postgres::Row, at: usize) -> Result<Value, DbError> {
    let column = &row.columns()[at];
    let value = match *column.type_() {
        Type::BOOL => row.try_get::<_, Option<bool>>(at)?.map(Value::Bool),
        Type::INT2 => row.try_get::<_, Option<i16>>(at)?.map(|number| Value::Int(number.into())),
        Type::INT4 => row.try_get::<_, Option<i32>>(at)?.map(|number| Value::Int(number.into())),
        Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map(Value::Int),
        Type::OID => row.try_get::<_, Option<u32>>(at)?.map(|number| Value::Int(number.into())),
        Type::FLOAT4 => row.try_get::<_, Option<f32>>(at)?.map(|number| Value::Float(number.into())),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(at)?.map(Value::Float),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            row.try_get::<_, Option<String>>(at)?.map(Value::Text)
        }
        Type::TIMESTAMPTZ | Type::TIMESTAMP => {
            row.try_get::<_, Option<SystemTime>>(at)?.map(|time| Value::Time(timestamp(time)))
        }
        Type::TEXT_ARRAY => row.try_get::<_, Option<Vec<String>>>(at)?.map(Value::TextList),
        Type::JSON | Type::JSONB => row.try_get::<_, Option<serde_json::Value>>(at)?.map(Value::Json),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at)?.map(Value::Bytes),
        _ => return Err(DbError::Decode { column: column.name().to_owned(), expected: "of a type that is read here" }),
    };
    Ok(value.unwrap_or(Value::Null))
}
