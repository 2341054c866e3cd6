use gitops_updater::domain::{resolve, scan};
fn walk(p:&std::path::Path,o:&mut Vec<std::path::PathBuf>){ let mut v:Vec<_>=std::fs::read_dir(p).unwrap().map(|e|e.unwrap().path()).collect(); v.sort(); for e in v{ if e.is_dir(){walk(&e,o)} else if e.extension().is_some_and(|x|["yaml","yml","json","j2","tpl","tmpl"].contains(&x.to_str().unwrap())){o.push(e)}}}
fn main(){ let root=std::path::PathBuf::from(std::env::args().nth(1).unwrap()); let mut files=vec![]; walk(&root,&mut files);
 let (reg,p)=gitops_updater::rules::Registry::load([]); assert!(p.is_empty(),"{p:?}");
 let t=std::time::Instant::now();
 let mut scans:Vec<_>=files.iter().map(|f| scan::scan_file(f.strip_prefix(&root).unwrap().to_str().unwrap(),&std::fs::read(f).unwrap(),reg.rules())).collect();
 scans.sort_by(|a,b|a.path.cmp(&b.path));
 let r=resolve::resolve(&scans,reg.rules(),&resolve::Options::default());
 eprintln!("{:?} clusters {:?}",t.elapsed(),r.clusters);
 for c in &r.components { println!("{} [{}] {:?} up={} dig={} man={:?} {:?}",c.id,c.kind,c.given,match &c.upstream{Ok(u)=>format!("{}",u.url()+" "+&u.name()),Err(e)=>format!("ERR {e}")},c.digest.is_some(),c.managed_elsewhere,c.warnings); for p in &c.pins { println!("    {}:{}:{} {} `{}` {} {}",p.file,p.line,p.column,p.route,p.text,p.rule,if p.applied{""}else{"(copy)"}); } }
 for p in &r.problems { println!("PROBLEM {}:{:?} {}",p.file.as_deref().unwrap_or(""),p.line,p.message); }
 println!("{:?}",r.inventory);
}
