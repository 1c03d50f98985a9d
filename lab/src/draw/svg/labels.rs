//! Puts labels where they hide nothing.
//!
//! Every label comes with a few places where it would belong. Each place costs what it would cover:
//! other labels most, then the lines of processes, then arrows. The cheapest is taken, label by label,
//! so those that matter most are placed first.

/// A point, in pixels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A place for a label: its middle, its size and how it is turned, in radians.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Place {
    pub(super) middle: Point,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) angle: f64,
}

/// What labels should keep clear of.
#[derive(Clone)]
pub(super) struct Field {
    lines: Vec<Line>,
    taken: Vec<Place>,
    /// The corners of the picture.
    from: Point,
    to: Point,
}

#[derive(Clone)]
struct Line {
    from: Point,
    to: Point,
    /// The cost of covering one pixel of it.
    weight: f64,
    /// Whose it is: nobody avoids his own.
    owner: Option<usize>,
}

/// The cost of covering a square pixel of another label.
const LABEL_WEIGHT: f64 = 4.0;
/// The cost of leaving the picture.
const OUTSIDE_COST: f64 = 10_000.0;

impl Field {
    /// An empty picture with these corners.
    pub(super) fn new(from: Point, to: Point) -> Field {
        Field {
            lines: Vec::new(),
            taken: Vec::new(),
            from,
            to,
        }
    }

    /// A line to keep clear of.
    pub(super) fn avoid(&mut self, from: Point, to: Point, weight: f64, owner: Option<usize>) {
        self.lines.push(Line {
            from,
            to,
            weight,
            owner,
        });
    }

    /// An area to keep clear of.
    pub(super) fn take(&mut self, place: Place) {
        self.taken.push(place);
    }

    /// Takes the cheapest of these places, each with what it costs by itself, and tells what it costs.
    pub(super) fn choose(
        &mut self,
        places: impl IntoIterator<Item = (Place, f64)>,
        owner: Option<usize>,
    ) -> Option<(Place, f64)> {
        let places: Vec<(Place, f64)> = places.into_iter().collect();
        // In a high picture most of what there is lies above or below all of these places.
        let bounds: Vec<(Point, Point)> = places.iter().map(|(place, _)| place.bounds()).collect();
        let low = bounds.iter().map(|(low, _)| low.y).fold(f64::MAX, f64::min);
        let high = bounds
            .iter()
            .map(|(_, high)| high.y)
            .fold(f64::MIN, f64::max);
        let lines = self.lines.iter();
        let near_lines: Vec<&Line> = lines
            .filter(|line| line.owner.is_none() || line.owner != owner)
            .filter(|line| line.from.y.max(line.to.y) >= low && line.from.y.min(line.to.y) <= high)
            .collect();
        let taken = self.taken.iter();
        let near_taken: Vec<&Place> = taken
            .filter(|place| {
                let (from, to) = place.bounds();
                to.y >= low && from.y <= high
            })
            .collect();
        let costs = places
            .into_iter()
            .map(|(place, cost)| (place, cost + self.cost(&place, &near_lines, &near_taken)));
        let best = costs.min_by(|one, two| one.1.total_cmp(&two.1));
        if let Some((place, _)) = best {
            self.take(place);
        }
        best
    }

    fn cost(&self, place: &Place, lines: &[&Line], taken: &[&Place]) -> f64 {
        let mut cost = 0.0;
        for line in lines {
            cost += line.weight * place.covered(line.from, line.to);
        }
        for other in taken {
            cost += LABEL_WEIGHT * place.overlap(other);
        }
        let (low, high) = place.bounds();
        let outside =
            low.x < self.from.x || low.y < self.from.y || high.x > self.to.x || high.y > self.to.y;
        cost + if outside { OUTSIDE_COST } else { 0.0 }
    }
}

impl Place {
    /// A place that is not turned, by its left upper corner.
    pub(super) fn flat(x: f64, y: f64, width: f64, height: f64) -> Place {
        Place {
            middle: Point {
                x: x + width / 2.0,
                y: y + height / 2.0,
            },
            width,
            height,
            angle: 0.0,
        }
    }

    /// A point as this place sees it: relative to its middle and not turned.
    fn local(&self, point: Point) -> Point {
        let (x, y) = (point.x - self.middle.x, point.y - self.middle.y);
        let (sin, cos) = self.angle.sin_cos();
        Point {
            x: x * cos + y * sin,
            y: y * cos - x * sin,
        }
    }

    /// How much of a line it covers (Liang and Barsky, 1984).
    fn covered(&self, from: Point, to: Point) -> f64 {
        let (from, to) = (self.local(from), self.local(to));
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let (mut enter, mut leave) = (0.0f64, 1.0f64);
        let (half_width, half_height) = (self.width / 2.0, self.height / 2.0);
        let edges = [
            (-dx, from.x + half_width),
            (dx, half_width - from.x),
            (-dy, from.y + half_height),
            (dy, half_height - from.y),
        ];
        for (towards, distance) in edges {
            if towards == 0.0 {
                if distance < 0.0 {
                    return 0.0;
                }
            } else if towards < 0.0 {
                enter = enter.max(distance / towards);
            } else {
                leave = leave.min(distance / towards);
            }
        }
        (leave - enter).max(0.0) * dx.hypot(dy)
    }

    /// About how many square pixels it shares with another.
    fn overlap(&self, other: &Place) -> f64 {
        let reach = |place: &Place| (place.width + place.height) / 2.0;
        let distance = (self.middle.x - other.middle.x).abs();
        if distance > reach(self) + reach(other) {
            return 0.0;
        }
        // Slices of this place along its length, each as wide as it is high.
        let slices = (self.width / self.height).ceil().max(1.0);
        let slice = self.width / slices;
        let (sin, cos) = self.angle.sin_cos();
        let mut shared = 0.0;
        let mut at = -self.width / 2.0 + slice / 2.0;
        while at < self.width / 2.0 {
            let seen = other.local(Point {
                x: self.middle.x + at * cos,
                y: self.middle.y + at * sin,
            });
            let across = (other.width + slice) / 2.0 - seen.x.abs();
            let along = (other.height + self.height) / 2.0 - seen.y.abs();
            if across > 0.0 && along > 0.0 {
                shared += across.min(slice) * along.min(self.height);
            }
            at += slice;
        }
        shared
    }

    /// The corners of the upright rectangle around it.
    fn bounds(&self) -> (Point, Point) {
        let (sin, cos) = self.angle.sin_cos();
        let x = (self.width * cos.abs() + self.height * sin.abs()) / 2.0;
        let y = (self.width * sin.abs() + self.height * cos.abs()) / 2.0;
        let Point {
            x: middle_x,
            y: middle_y,
        } = self.middle;
        (
            Point {
                x: middle_x - x,
                y: middle_y - y,
            },
            Point {
                x: middle_x + x,
                y: middle_y + y,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Point {
        Point { x, y }
    }

    #[test]
    fn a_place_knows_what_it_covers() {
        let place = Place::flat(10.0, 10.0, 40.0, 10.0);
        assert_eq!(place.covered(point(0.0, 15.0), point(100.0, 15.0)), 40.0);
        assert_eq!(place.covered(point(20.0, 0.0), point(20.0, 50.0)), 10.0);
        assert_eq!(place.covered(point(0.0, 30.0), point(100.0, 30.0)), 0.0);
        let turned = Place {
            angle: std::f64::consts::FRAC_PI_2,
            ..place
        };
        let length = turned.covered(point(30.0, -100.0), point(30.0, 100.0));
        assert!((length - 40.0).abs() < 1e-9, "{length}");
    }

    #[test]
    fn the_free_place_is_chosen() {
        let mut field = Field::new(point(0.0, 0.0), point(200.0, 100.0));
        field.avoid(point(0.0, 15.0), point(200.0, 15.0), 1.0, None);
        field.take(Place::flat(10.0, 30.0, 40.0, 10.0));
        let free = Place::flat(10.0, 60.0, 40.0, 10.0);
        let places = [
            (Place::flat(10.0, 10.0, 40.0, 10.0), 0.0),
            (Place::flat(20.0, 32.0, 40.0, 10.0), 0.0),
            (Place::flat(180.0, 60.0, 40.0, 10.0), 0.0),
            (free, 5.0),
        ];
        assert_eq!(field.choose(places, None), Some((free, 5.0)));
        // Now it is taken.
        let next = field.choose([(free, 0.0)], None).map(|(_, cost)| cost);
        assert_eq!(next, Some(LABEL_WEIGHT * 400.0));
    }

    #[test]
    fn nobody_avoids_his_own_arrow() {
        let mut field = Field::new(point(0.0, 0.0), point(200.0, 100.0));
        field.avoid(point(0.0, 15.0), point(200.0, 15.0), 1.0, Some(7));
        let place = Place::flat(10.0, 10.0, 40.0, 10.0);
        let cost = |owner| {
            let mut field = field.clone();
            field
                .choose([(place, 0.0)], Some(owner))
                .map(|(_, cost)| cost)
        };
        assert_eq!((cost(7), cost(8)), (Some(0.0), Some(40.0)));
    }
}
