//! A clock in the test picture that programs read from pixels: it tells when a frame was made, whatever happened to it since.
//!
//! A row of square cells in the middle of the picture's top, together half its width, each white or black:
//!
//! | cell | says |
//! |---|---|
//! | 0, 1 | white, black: a clock is here |
//! | 2 to 33 | the wall time in hundredths of a second, modulo 2^32, as a Gray code, most significant bit first |
//! | 34 | the lowest bit of that number, which the Gray code's bits must add up to |
//! | 35 | black |
//!
//! In a Gray code one bit changes at a time, so a frame whose cells are drawn across a tick shows one of the two times.

/// The cells of the row.
const CELLS: u32 = 36;

/// What ffmpeg appends to the filters of a picture to draw the clock onto it. Where the picture is narrower than 288
/// pixels the cells are as small as the encoder can keep apart, and the row takes more of its width.
pub(super) fn overlay(width: u32, height: u32, fps: u32) -> String {
    let cell = (width / 2 / CELLS).max(4).min(height);
    let row = cell * CELLS;
    let bit = "mod(floor(ld(0)/pow(2,33-X))+floor(ld(0)/pow(2,34-X)),2)";
    let cells = format!("if(lt(X,2),eq(X,0),if(lt(X,34),{bit},if(eq(X,34),mod(floor(ld(0)),2),0)))");
    format!(
        "[p];color=black:size={CELLS}x1:rate={fps},format=gray,geq=lum='st(0,mod(time(0)*100,pow(2,32)));255*{cells}',\
         scale={row}:{cell}:flags=neighbor[c];[p][c]overlay=x=(W-w)/2:y=0"
    )
}
